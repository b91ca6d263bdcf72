/**
 * Messages on their way to endpoints: in order for each, at most 8 without an acknowledgement, and a newer message in the
 * place of a queued one that it makes out of date.
 *
 * Owns the queues. Never speaks MQTT: `publish` does, and calls back once the broker has the message.
 */

import { limits } from "../../protocol/limits.ts"

export interface Outgoing {
    topic: string
    payload: string
    /** A waiting message with the same text is out of date. */
    replaces?: string
}

interface Queue {
    unacknowledged: number
    waiting: Outgoing[]
}

const waitingMost = 64

export class Outbox {
    readonly counters = { sent: 0, replaced: 0, dropped: 0 }
    readonly #queues = new Map<string, Queue>()
    readonly #publish: (outgoing: Outgoing, acknowledged: () => void) => void
    #onIdle: (() => void) | undefined

    constructor(publish: (outgoing: Outgoing, acknowledged: () => void) => void) {
        this.#publish = publish
    }

    add(receiver: string, outgoing: Outgoing) {
        const queue = this.#queues.get(receiver) ?? { unacknowledged: 0, waiting: [] }
        this.#queues.set(receiver, queue)
        const older = outgoing.replaces ? queue.waiting.findIndex(one => one.replaces === outgoing.replaces) : -1
        if (older >= 0) {
            queue.waiting.splice(older, 1)
            this.counters.replaced++
        }
        // The oldest has waited longest for a broker that is away: its sender has given up on it first.
        if (queue.waiting.length >= waitingMost) {
            queue.waiting.shift()
            this.counters.dropped++
        }
        queue.waiting.push(outgoing)
        this.#drain(receiver, queue)
    }

    /** Resolves when everything was acknowledged. */
    idle(): Promise<void> {
        if (this.#queues.size === 0) return Promise.resolve()
        return new Promise(resolve => {
            this.#onIdle = resolve
        })
    }

    #drain(receiver: string, queue: Queue) {
        while (queue.waiting.length > 0 && queue.unacknowledged < limits.unacknowledged) {
            queue.unacknowledged++
            this.counters.sent++
            this.#publish(queue.waiting.shift()!, () => {
                queue.unacknowledged--
                this.#drain(receiver, queue)
                if (queue.unacknowledged > 0 || this.#queues.get(receiver) !== queue) return
                this.#queues.delete(receiver)
                if (this.#queues.size === 0) this.#onIdle?.()
            })
        }
    }
}
