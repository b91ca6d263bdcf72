/**
 * The memory of persistent sessions (clean = false), bounded.
 *
 * Owns how much the broker keeps for a party that is away or has not acknowledged, and hands it over when the party is
 * back. Never sends: `delivery.ts` does, at the party's pace, where aedes would write all of it at once.
 *
 * Retained states and these queues live in memory: when the broker restarts they are gone, together with every message
 * that was on its way. That is enough, because nothing relies on them: parties publish their birth again after every
 * connect, subscribe again, and repeat each request until it is answered (`protocol/README.md`); what servers push is
 * whole and sent again after a hello.
 */

import { Readable } from "node:stream"
import type { Aedes, AedesPublishPacket, Client } from "aedes"

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
    /** Of all parties together. */
    bytes: number
    /** Messages kept for one party; 0 for one that is not known. */
    messages(id: string): number
    /** Whether a party may read what a filter matches: aedes stores refused filters next to granted ones of one packet. */
    maySubscribe(id: string, filter: string): boolean
    /** A party is back (its CONNACK is sent), and this is what was kept for it, in order. */
    restored(client: Client, packets: AedesPublishPacket[]): void
    /** A message was not kept. */
    dropped(id: string): void
}

/** Puts the bounds around the persistence of a broker that listens. */
export function boundOfflineMemory(aedes: Aedes, rules: OfflineRules): OfflineMemory {
    const persistence = (aedes as unknown as { persistence: Persistence }).persistence
    const queued = new Map<string, number>()
    let queuedBytes = 0

    const enqueue = persistence.outgoingEnqueueCombi.bind(persistence)
    persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
        const taken = new Set<string>()
        const kept = subscriptions.filter(({ clientId }) => {
            // Overlapping filters of one party: once is enough.
            if (taken.has(clientId)) return false
            taken.add(clientId)
            const count = queued.get(clientId) ?? 0
            if (count >= rules.messages(clientId) || queuedBytes + packet.payload.length > rules.bytes) {
                rules.dropped(clientId)
                return false
            }
            queued.set(clientId, count + 1)
            queuedBytes += packet.payload.length
            return true
        })
        return enqueue(kept, packet)
    }

    const clear = persistence.outgoingClearMessageId.bind(persistence)
    persistence.outgoingClearMessageId = async (client, packet) => {
        const cleared = await clear(client, packet)
        if (cleared) {
            queuedBytes -= cleared.payload.length
            const count = (queued.get(client.id) ?? 0) - 1
            if (count > 0) queued.set(client.id, count)
            else queued.delete(client.id)
        }
        return cleared
    }

    const stream = persistence.outgoingStream.bind(persistence)
    const clearAll = async (id: string) => {
        for await (const packet of stream({ id })) await persistence.outgoingClearMessageId({ id }, packet)
    }
    const hand = async (client: Client) => {
        const packets: AedesPublishPacket[] = []
        for await (const packet of stream(client)) packets.push(packet)
        if (client.clean) await clearAll(client.id)
        else rules.restored(client, packets)
    }
    // aedes asks for the queue once, after the CONNACK, and would write all of it: it gets an empty one.
    persistence.outgoingStream = client =>
        new Readable({
            objectMode: true,
            read() {
                hand(client as Client).then(
                    () => this.push(null),
                    error => this.destroy(error),
                )
            },
        })

    const subscribe = persistence.addSubscriptions.bind(persistence)
    persistence.addSubscriptions = (client, subscriptions) =>
        subscribe(
            client,
            subscriptions.filter(({ topic }) => rules.maySubscribe(client.id, topic)),
        )

    return {
        async forget(id, stateTopic) {
            await persistence.cleanSubscriptions({ id })
            await clearAll(id)
            await persistence.storeRetained({ topic: stateTopic, payload: Buffer.alloc(0) })
        },
    }
}
