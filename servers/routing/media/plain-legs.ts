/**
 * Plain legs by the address that their packets come from: of these the address is all there is to know them by.
 *
 * Owns who has which address, and which leg takes an address that is new. Never admits a leg.
 */

import type { PlainSource } from "./interface.ts"

interface Waiting<Held> {
    leg: Held
    ip: string
    payloadType: number
}

interface PlainChannel {
    channel: { payloadType: number }
}

export class PlainLegs<Held extends PlainChannel> {
    private readonly byPlace = new Map<string, Held>()
    /** Legs whose port is not known yet, in the order in which they were admitted. */
    private waiting: Waiting<Held>[] = []

    isTaken({ ip, port }: PlainSource): boolean {
        return port !== 0 && this.byPlace.has(placeOf(ip, port))
    }

    add(leg: Held, { ip, port }: PlainSource): void {
        if (port !== 0) this.byPlace.set(placeOf(ip, port), leg)
        else this.waiting.push({ leg, ip, payloadType: leg.channel.payloadType })
    }

    remove(leg: Held): void {
        this.waiting = this.waiting.filter(each => each.leg !== leg)
        for (const [place, held] of this.byPlace) if (held === leg) this.byPlace.delete(place)
    }

    at(ip: string, port: number): Held | undefined {
        return this.byPlace.size > 0 ? this.byPlace.get(placeOf(ip, port)) : undefined
    }

    /** The leg that has waited for this packet, which is its own from now on. */
    newcomer(ip: string, port: number, payloadType: number): Held | undefined {
        if (this.waiting.length === 0 || this.at(ip, port)) return undefined
        const index = this.waiting.findIndex(each => each.ip === ip && each.payloadType === payloadType)
        if (index < 0) return undefined
        const [{ leg }] = this.waiting.splice(index, 1)
        this.byPlace.set(placeOf(ip, port), leg)
        return leg
    }
}

export function isSamePlain(a: PlainSource | undefined, b: PlainSource | undefined): boolean {
    if (!a || !b) return a === b
    return a.ip === b.ip && a.port === b.port && a.payloadType === b.payloadType
}

function placeOf(ip: string, port: number): string {
    return `${ip}:${port}`
}
