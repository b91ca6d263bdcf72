/**
 * The radio of a board: on or off, and how bad. Shared by the firmware's socket and the media engine, which hang on the same
 * access point. Holds the state and tells of changes; what a change means is the listener's business.
 */

export interface WifiState {
    up: boolean
    /** 0..100: chance that a datagram is lost, or that a TCP segment has to be sent again. */
    lossPercent: number
    /** Added one way, in each direction. */
    delayMs: number
}

export class Wifi implements Readonly<WifiState> {
    #state: WifiState = { up: true, lossPercent: 0, delayMs: 0 }
    #listeners: (() => void)[] = []

    get up(): boolean {
        return this.#state.up
    }

    get lossPercent(): number {
        return this.#state.lossPercent
    }

    get delayMs(): number {
        return this.#state.delayMs
    }

    get state(): WifiState {
        return { ...this.#state }
    }

    set(change: Partial<WifiState>): void {
        const next = { ...this.#state, ...change }
        const same = next.up === this.up && next.lossPercent === this.lossPercent && next.delayMs === this.delayMs
        if (same) return
        this.#state = next
        for (const listener of this.#listeners) listener()
    }

    onChange(listener: () => void): void {
        this.#listeners.push(listener)
    }
}
