/**
 * One link between two servers of the world: a direction each way, in which messages arrive in order after the link's delay,
 * and what each end believes of it.
 *
 * Owns what is on its way. A link that breaks takes with it all that is on its way; the ends learn of it later (faults.ts).
 */

import type { SimulatedServer } from "./server.ts"

export class Direction<M> {
    /** The end that sends has been told that the link is up. */
    isUp = false
    /** When the last message in order arrives. */
    lastMs = 0
    /** Messages of the reservation vanish until then, while everything else gets through: a server that is half dead. */
    deafUntilMs = 0
    private readonly messages: M[] = []
    private readonly lives: number[] = []
    private next = 0

    constructor(
        readonly from: SimulatedServer,
        readonly to: SimulatedServer,
        readonly link: Link<M>,
        private readonly receive: (direction: Direction<M>, message: M) => void,
    ) {}

    put(message: M): void {
        this.messages.push(message)
        this.lives.push(this.link.life)
    }

    /** The next one in order arrives: one closure for all of them. */
    readonly arrive = (): void => {
        const message = this.messages[this.next]
        const life = this.lives[this.next]
        this.next++
        if (this.next === this.messages.length) {
            this.messages.length = 0
            this.lives.length = 0
            this.next = 0
        }
        if (this.link.passes && life === this.link.life) this.receive(this, message)
    }
}

export class Link<M> {
    readonly there: Direction<M>
    readonly back: Direction<M>
    /** The line itself; both servers have to be alive as well. */
    isWhole = true
    /** Messages get through. */
    passes = false
    /** Counts connections and breaks, so that what was on its way is lost with its connection. */
    life = 0
    /** When it last broke. */
    brokenMs = Number.NEGATIVE_INFINITY

    constructor(
        readonly a: SimulatedServer,
        readonly b: SimulatedServer,
        /** 0.01 ms. */
        public delay: number,
        readonly capacityKbps: number,
        receive: (direction: Direction<M>, message: M) => void,
    ) {
        this.there = new Direction(a, b, this, receive)
        this.back = new Direction(b, a, this, receive)
    }

    get delayMs(): number {
        return this.delay / 100
    }

    /** Both ends believe it to be up, and it is. */
    get isUsable(): boolean {
        return this.passes && this.there.isUp && this.back.isUp && this.a.isAlive && this.b.isAlive
    }
}
