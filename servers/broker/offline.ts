/**
 * The memory of persistent sessions (clean = false), bounded.
 *
 * Owns how much the broker keeps for a party that is away. Retained states and these queues live in memory: when the
 * broker restarts they are gone, together with every message that was on its way. That is enough, because nothing relies
 * on them: parties publish their birth again after every connect, subscribe again, and repeat each request until it is
 * answered (`protocol/README.md`); what servers push is whole and sent again after a hello.
 */

import type { Aedes, AedesPublishPacket } from "aedes"

interface Subscription {
    clientId: string
    topic: string
    qos: number
}

interface Persistence {
    outgoingEnqueueCombi(subscriptions: Subscription[], packet: AedesPublishPacket): Promise<void>
    outgoingClearMessageId(
        client: { id: string },
        packet: { messageId?: number },
    ): Promise<AedesPublishPacket | undefined>
    outgoingStream(client: { id: string }): AsyncIterable<AedesPublishPacket>
    addSubscriptions(client: { id: string }, subscriptions: Subscription[]): Promise<void>
    cleanSubscriptions(client: { id: string }): Promise<void>
    storeRetained(packet: { topic: string; payload: Buffer }): Promise<void>
}

export interface OfflineMemory {
    /** Forgets a party for good: its session, its queue and its retained state. */
    forget(id: string, stateTopic: string): Promise<void>
}

export interface OfflineRules {
    messages: number
    /** Whether a party may read what a filter matches: aedes stores refused filters next to granted ones of one packet. */
    maySubscribe(id: string, filter: string): boolean
    /** A message was not kept because the queue of `id` is full. */
    dropped(id: string): void
}

/** Puts the bounds around the persistence of a broker that listens. */
export function boundOfflineMemory(aedes: Aedes, rules: OfflineRules): OfflineMemory {
    const persistence = (aedes as unknown as { persistence: Persistence }).persistence
    const queued = new Map<string, number>()

    const enqueue = persistence.outgoingEnqueueCombi.bind(persistence)
    persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
        const taken = new Set<string>()
        const kept = subscriptions.filter(({ clientId }) => {
            // Overlapping filters of one party: once is enough.
            if (taken.has(clientId)) return false
            taken.add(clientId)
            const count = queued.get(clientId) ?? 0
            if (count >= rules.messages) {
                rules.dropped(clientId)
                return false
            }
            queued.set(clientId, count + 1)
            return true
        })
        return enqueue(kept, packet)
    }

    const clear = persistence.outgoingClearMessageId.bind(persistence)
    persistence.outgoingClearMessageId = async (client, packet) => {
        const cleared = await clear(client, packet)
        if (cleared) {
            const count = (queued.get(client.id) ?? 0) - 1
            if (count > 0) queued.set(client.id, count)
            else queued.delete(client.id)
        }
        return cleared
    }

    const subscribe = persistence.addSubscriptions.bind(persistence)
    persistence.addSubscriptions = (client, subscriptions) =>
        subscribe(
            client,
            subscriptions.filter(({ topic }) => rules.maySubscribe(client.id, topic)),
        )

    return {
        async forget(id, stateTopic) {
            await persistence.cleanSubscriptions({ id })
            for await (const packet of persistence.outgoingStream({ id }))
                await persistence.outgoingClearMessageId({ id }, packet)
            queued.delete(id)
            await persistence.storeRetained({ topic: stateTopic, payload: Buffer.alloc(0) })
        },
    }
}
