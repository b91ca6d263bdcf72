/**
 * The frames of one client's byte stream, watched before the MQTT parser gets to them.
 *
 * Owns the verdict on kind and length of each packet as soon as its first 2..5 bytes are there, so that a packet that is
 * too large is refused before a byte of it is kept. Never looks into a packet: that is the parser's work.
 */

import { limits } from "../../protocol/limits.ts"
import { brokerLimits } from "./limits.ts"

export type FramingProblem =
    | "notConnectFirst"
    | "secondConnect"
    | "unexpectedPacket"
    | "qos2"
    | "badLength"
    | "tooLarge"

/** MQTT 3.1.1, table 2.1. */
const connect = 1
const publish = 3
const puback = 4
const subscribe = 8
const unsubscribe = 10
const pingreq = 12
const disconnect = 14

/** Topic and packet id around the payload of a PUBLISH. */
const publishOverheadBytes = 2 + limits.topicBytes + 2

export class Framing {
    /** Largest payload of a PUBLISH; an endpoint's is lowered once it is known to be one. */
    publishBytes: number = limits.brokerMessageBytes
    private started = false
    private kind = 0
    private flags = 0
    /** -1: the next byte starts a packet. -2: in the remaining length. Else the bytes of the body still to come. */
    private left = -1
    private length = 0
    private lengthBytes = 0
    private failed: FramingProblem | undefined

    /** Takes what arrived; the answer is what is wrong with it, for ever. */
    push(chunk: Uint8Array): FramingProblem | undefined {
        let at = 0
        while (at < chunk.length && !this.failed) {
            if (this.left > 0) {
                const taken = Math.min(this.left, chunk.length - at)
                this.left -= taken
                at += taken
                if (this.left === 0) this.left = -1
            } else if (this.left === -1) {
                this.kind = chunk[at] >> 4
                this.flags = chunk[at] & 15
                at++
                this.failed = this.kindProblem()
                this.started = true
                this.left = -2
                this.length = 0
                this.lengthBytes = 0
            } else {
                const byte = chunk[at++]
                this.length += (byte & 127) * 128 ** this.lengthBytes
                this.lengthBytes++
                if (byte & 128) {
                    if (this.lengthBytes === 4) this.failed = "badLength"
                    continue
                }
                this.failed = this.lengthProblem()
                this.left = this.length > 0 ? this.length : -1
            }
        }
        return this.failed
    }

    private kindProblem(): FramingProblem | undefined {
        if (!this.started) return this.kind === connect ? undefined : "notConnectFirst"
        switch (this.kind) {
            case connect:
                return "secondConnect"
            case publish:
                return this.flags & 4 ? "qos2" : undefined
            case puback:
            case subscribe:
            case unsubscribe:
            case pingreq:
            case disconnect:
                return undefined
            default:
                // The rest is for brokers to send, or belongs to QoS 2, which no party uses.
                return "unexpectedPacket"
        }
    }

    private lengthProblem(): FramingProblem | undefined {
        switch (this.kind) {
            case connect:
                return this.length > brokerLimits.connectBytes ? "tooLarge" : this.length < 12 ? "badLength" : undefined
            case publish:
                if (this.length > this.publishBytes + publishOverheadBytes) return "tooLarge"
                return this.length < (this.flags & 2 ? 5 : 3) ? "badLength" : undefined
            case puback:
                return this.length === 2 ? undefined : "badLength"
            case subscribe:
            case unsubscribe:
                return this.length > brokerLimits.subscribeBytes
                    ? "tooLarge"
                    : this.length < 5
                      ? "badLength"
                      : undefined
            default:
                return this.length === 0 ? undefined : "badLength"
        }
    }
}
