/**
 * Limits that only the embedded broker enforces; those that both ends of a wire must know stand in `protocol/limits.ts`.
 */

import { limits } from "../../protocol/limits.ts"
import type { RightsKind } from "../../protocol/rights.ts"

export interface DeliveryLimits {
    /** QoS 1 messages sent to the client and not acknowledged. */
    unacknowledged: number
    /** Messages waiting behind those; one more, and the client is too slow and is disconnected. */
    waitingMessages: number
    waitingBytes: number
    /** Bytes that the socket has not taken yet. */
    socketBytes: number
}

export const brokerLimits = {
    connections: 10_000,
    /** Connections that have not logged in: all, and from one address. */
    halfOpen: 256,
    halfOpenPerAddress: 64,
    connectTimeoutMs: 5_000,
    /** CONNECT with identifier, user, secret, and a Will that is no larger than an appliance's message. */
    connectBytes: 512 + limits.topicBytes + limits.brokerApplianceBytes,
    /** SUBSCRIBE and UNSUBSCRIBE. */
    subscribeBytes: 2048,
    /** `parley/v1/ep/<id>/out/rs/<rs>/<verb>` is the deepest. */
    topicLevels: 8,
    subscriptionsPerClient: 16,
    /** Refused subscriptions of one connection, after which it is closed. */
    refusalsPerConnection: 16,
    keepaliveSecondsMax: 60,
    /** Failed logins of one address: this many at once, then this many a second. */
    failedLoginBurst: 20,
    failedLoginsPerSecond: 1,
    failedLoginAddresses: 4096,
    /** Payload bytes kept for all persistent sessions (clean = false) together, until they are acknowledged. */
    sessionBytes: 64 * 1024 * 1024,
    /** How often the credentials file is looked at, besides at each failed login. */
    credentialsPollMs: 500,
}

export type BrokerLimits = typeof brokerLimits

/** What may be on its way to one client. An appliance has 64 KB of memory in all; a server hears many appliances at once. */
export function deliveryLimits(kind: RightsKind): DeliveryLimits {
    if (kind === "ep")
        return {
            unacknowledged: limits.unacknowledged,
            waitingMessages: 64,
            waitingBytes: 64 * limits.brokerApplianceBytes,
            socketBytes: 128 * 1024,
        }
    return {
        unacknowledged: 1000,
        waitingMessages: 20_000,
        waitingBytes: 16 * 1024 * 1024,
        socketBytes: 16 * 1024 * 1024,
    }
}

/** QoS 1 messages kept for a party of a persistent session: as many as may be on their way to one that is connected. */
export function keptMessages(kind: RightsKind): number {
    const { unacknowledged, waitingMessages } = deliveryLimits(kind)
    return unacknowledged + waitingMessages
}
