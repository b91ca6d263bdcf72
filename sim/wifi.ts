/**
 * The radio of a board and the networks in its air: on or off, joined or not, and how bad. Shared by the firmware's socket
 * and the media engine, which hang on the same access point. Holds the state and tells of changes; what a change means is
 * the listener's business. As on the ESP32, one network is stored.
 */

export interface WifiState {
    /** Switched on, joined to its network, and given an address. */
    up: boolean
    /** 0..100: chance that a datagram is lost, or that a TCP segment has to be sent again. */
    lossPercent: number
    /** Added one way, in each direction. */
    delayMs: number
}

/** An access point that the radio can hear. */
export interface AccessPoint {
    name: string
    /** "": open to all. */
    password: string
    rssiDb: number
    /** False: it lets boards in and gives them no address. */
    givesAddresses?: boolean
}

export interface StoredNetwork {
    name: string
    password: string
}

const homeName = "parley-sim"

export class Wifi implements Readonly<WifiState> {
    #on = true
    #lossPercent = 0
    #delayMs = 0
    #air: AccessPoint[] = [{ name: homeName, password: "", rssiDb: -50 }]
    #stored: StoredNetwork | undefined = { name: homeName, password: "" }
    #listeners: (() => void)[] = []

    get up(): boolean {
        const joined = this.joined
        return joined !== undefined && joined.givesAddresses !== false
    }

    get lossPercent(): number {
        return this.#lossPercent
    }

    get delayMs(): number {
        return this.#delayMs
    }

    get state(): WifiState {
        return { up: this.up, lossPercent: this.lossPercent, delayMs: this.delayMs }
    }

    /** The access point that has let the board in. */
    get joined(): AccessPoint | undefined {
        if (!this.#on) return undefined
        return this.#air.find(one => one.name === this.#stored?.name && one.password === this.#stored.password)
    }

    get stored(): StoredNetwork | undefined {
        return this.#stored
    }

    /** What a scan finds; nothing while the radio is off. */
    get heard(): readonly AccessPoint[] {
        return this.#on ? this.#air : []
    }

    /** `up` is the switch of the radio. */
    set(change: Partial<WifiState>): void {
        this.#change(() => {
            this.#on = change.up ?? this.#on
            this.#lossPercent = change.lossPercent ?? this.#lossPercent
            this.#delayMs = change.delayMs ?? this.#delayMs
        })
    }

    /** Access points come and go. */
    setAir(air: AccessPoint[]): void {
        this.#change(() => {
            this.#air = air
        })
    }

    /** In place of the one that was stored; undefined: it is forgotten. */
    store(network: StoredNetwork | undefined): void {
        this.#change(() => {
            this.#stored = network
        })
    }

    onChange(listener: () => void): void {
        this.#listeners.push(listener)
    }

    #change(work: () => void): void {
        const picture = () => JSON.stringify([this.#on, this.state, this.joined?.name])
        const before = picture()
        work()
        if (picture() === before) return
        for (const listener of this.#listeners) listener()
    }
}
