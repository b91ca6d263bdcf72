/**
 * What the MQTT client is told, and the words in which it tells why a connection ended.
 */

import type { ConnectFields } from "./packet"

export interface MqttOptions extends ConnectFields {
    host: string
    port: number
    filter: string
    /** Largest payload, in and out. */
    maxPayloadBytes: number
    /** What may wait for `onMessage`. More is not lost at QoS 1: the broker delivers it again. */
    inboxMessages: number
    inboxBytes: number
}

/** Why a connection, or an attempt at one, ended. */
export enum Why {
    None = 0,
    /** `stop` was called. */
    Stopped = 1,
    /** No network, nobody listens there, or no answer in time. */
    Unreachable = 3,
    /** The broker or the network closed it. */
    Closed = 4,
    /** The broker said no: see `onRefused`. */
    Refused = 5,
    /** No CONNACK or SUBACK in time. */
    NoAnswer = 6,
    /** No PINGRESP in time. */
    Silent = 7,
    /** Bytes that are not MQTT, or not at this point. */
    Malformed = 8,
    /** The socket did not take what was to be sent. */
    WriteFailed = 9,
    /** A message was not acknowledged in time. */
    Unacknowledged = 10,
    /** More messages came than the inbox holds; they are delivered again after the reconnect. */
    InboxFull = 11,
    /** The first connection after a boot, which only throws the old session away. */
    Forgotten = 12,
}
