/**
 * Messages on their way to endpoints and routing servers: in order for each receiver, at most so many without an
 * acknowledgement, and a newer whole message in the place of the queued older one.
 *
 * Owns the queues. Never speaks MQTT itself: `publish` does, and calls back when the broker has acknowledged.
 */

import type { Send } from "./core/model.ts"

export interface OutboxLimits {
    /** Messages without an acknowledgement, per receiver. */
    unacknowledged: number
    /** Messages that wait, per receiver. */
    waiting: number
}

interface Queue {
    unacknowledged: number
    waiting: Send[]
}

export class Outbox {
    readonly counters = { sent: 0, replaced: 0, dropped: 0 }
    private readonly queues = new Map<string, Queue>()
    private readonly limits: OutboxLimits
    private readonly publish: (send: Send, acknowledged: () => void) => void
    private generation = 0

    constructor(limits: OutboxLimits, publish: (send: Send, acknowledged: () => void) => void) {
        this.limits = limits
        this.publish = publish
    }

    add(send: Send): void {
        const key = `${send.kind} ${send.to}`
        const queue = this.queues.get(key) ?? { unacknowledged: 0, waiting: [] }
        this.queues.set(key, queue)
        if (send.replaces) {
            const older = queue.waiting.findIndex(one => one.replaces === send.replaces)
            if (older >= 0) {
                queue.waiting.splice(older, 1)
                this.counters.replaced++
            }
        }
        // An answer that is dropped is asked for again; what must arrive (whole pushes) replaces itself and stays few.
        if (queue.waiting.length >= this.limits.waiting) {
            queue.waiting.splice(0, 1)
            this.counters.dropped++
        }
        queue.waiting.push(send)
        this.drain(key, queue)
    }

    /** The connection is lost: whoever is still there is told anew after the next one. */
    clear(): void {
        this.generation++
        for (const queue of this.queues.values()) this.counters.dropped += queue.waiting.length
        this.queues.clear()
    }

    private drain(key: string, queue: Queue): void {
        const { generation } = this
        while (queue.waiting.length > 0 && queue.unacknowledged < this.limits.unacknowledged) {
            queue.unacknowledged++
            this.counters.sent++
            this.publish(queue.waiting.shift()!, () => {
                if (generation !== this.generation) return
                queue.unacknowledged--
                if (queue.unacknowledged === 0 && queue.waiting.length === 0) this.queues.delete(key)
                else this.drain(key, queue)
            })
        }
    }
}
