/**
 * The appliance's clock: server time as an offset to the device's own milliseconds, with a bound of its error.
 * Never reads a clock itself. A device has no battery clock: until the first answer it does not know the time.
 */

/** What a cheap crystal may run wrong, in parts per million. */
const driftPpm = 100
/** Ask the server again when the error could be larger than this. */
const staleErrorMs = 250

export class Clock {
    private offsetMs = 0
    private boundMs = 0
    private syncedAtMs = -1

    isKnown(): boolean {
        return this.syncedAtMs >= 0
    }

    /** An answer with the server's time: it was read somewhere between sending and receiving. */
    sync(sentAtMs: number, receivedAtMs: number, serverMs: number): void {
        const boundMs = Math.ceil((receivedAtMs - sentAtMs) / 2)
        // A slow answer may know less than the clock already does.
        if (this.isKnown() && boundMs > this.errorMs(receivedAtMs)) return
        this.offsetMs = serverMs - sentAtMs - boundMs
        this.boundMs = boundMs
        this.syncedAtMs = receivedAtMs
    }

    nowMs(deviceMs: number): number {
        return this.offsetMs + deviceMs
    }

    nowSeconds(deviceMs: number): number {
        return Math.floor(this.nowMs(deviceMs) / 1000)
    }

    /** How wrong `nowMs` can be at most. */
    errorMs(deviceMs: number): number {
        return this.boundMs + Math.ceil(((deviceMs - this.syncedAtMs) * driftPpm) / 1000000)
    }

    isStale(deviceMs: number): boolean {
        return !this.isKnown() || this.errorMs(deviceMs) - this.boundMs > staleErrorMs
    }
}

function twoDigits(value: number): string {
    return value < 10 ? `0${value}` : `${value}`
}

/** "14:05" of a time in Unix seconds, `zoneMinutes` east of UTC. */
export function timeOfDay(seconds: number, zoneMinutes: number): string {
    // Not with "%": DeviceScript takes the remainder of 32-bit signed integers.
    const minutes = Math.floor(seconds / 60) + zoneMinutes
    const minute = minutes - Math.floor(minutes / 1440) * 1440
    const hour = Math.floor(minute / 60)
    return `${twoDigits(hour)}:${twoDigits(minute - hour * 60)}`
}

/** Days since 1970 at that place: equal for two times of the same calendar day. */
export function dayOf(seconds: number, zoneMinutes: number): number {
    return Math.floor((seconds + zoneMinutes * 60) / 86400)
}
