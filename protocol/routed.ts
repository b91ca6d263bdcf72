/**
 * The body of a routed datagram (`datagramKinds.routed`): to any routing server, hop by hop along the routing tables, with
 * the alternate where a next hop is lost. It asks for an echo or is one. Never imported by the firmware.
 *
 *      0  TTL   1  kind (1 asks, 2 answers)   2  hops so far   3  hops of the question (answers)   4  number u32 BE
 *      8  identifier of the sender: length u8, bytes   ..  of the receiver: length u8, bytes
 */

import { limits } from "./limits"

export const routedAsks = 1
export const routedAnswers = 2
export const routedTtl = 32
const headBytes = 8

export interface Routed {
    ttl: number
    kind: number
    hops: number
    hopsAsked: number
    number: number
    from: string
    to: string
}

export function writeRouted(routed: Routed): Buffer {
    const [from, to] = [Buffer.from(routed.from), Buffer.from(routed.to)]
    const body = Buffer.alloc(headBytes + 2 + from.length + to.length)
    body[0] = routed.ttl
    body[1] = routed.kind
    body[2] = routed.hops
    body[3] = routed.hopsAsked
    body.writeUInt32BE(routed.number, 4)
    body[headBytes] = from.length
    from.copy(body, headBytes + 1)
    body[headBytes + 1 + from.length] = to.length
    to.copy(body, headBytes + 2 + from.length)
    return body
}

/** Undefined when it is none. */
export function readRouted(body: Buffer): Routed | undefined {
    if (body.length < headBytes + 4 || body.length > headBytes + 2 + 2 * limits.identifierBytes) return undefined
    const kind = body[1]
    if ((kind !== routedAsks && kind !== routedAnswers) || body[0] === 0 || body[0] > routedTtl) return undefined
    const fromBytes = body[headBytes]
    const toAt = headBytes + 1 + fromBytes
    if (fromBytes === 0 || toAt >= body.length || toAt + 1 + body[toAt] !== body.length || body[toAt] === 0)
        return undefined
    return {
        ...{ ttl: body[0], kind, hops: body[2], hopsAsked: body[3], number: body.readUInt32BE(4) },
        from: body.toString("utf8", headBytes + 1, toAt),
        to: body.toString("utf8", toAt + 1),
    }
}
