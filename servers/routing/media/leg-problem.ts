/**
 * What a media plane relies on in a leg that it is given. The signalling has validated who and where; this says what is wrong.
 */

import { isIPv4 } from "node:net"
import { isCodecName } from "../../../media/codecs.ts"
import { masterBytes } from "../../../media/srtp.ts"
import type { Leg } from "./interface.ts"

const ssrcMax = 4294967295

export function problemWithLeg(leg: Leg): string | undefined {
    if (!leg.session || !leg.endpoint) return "a leg needs a session and an endpoint"
    if (!Number.isInteger(leg.ssrc) || leg.ssrc < 1 || leg.ssrc > ssrcMax) return "the SSRC is not in 1..2^32-1"
    if (leg.plain ? leg.keys !== undefined : leg.keys?.toServer.length !== masterBytes)
        return "a leg has keys, or is plain by an operator's word"
    if (leg.codec !== undefined && !isCodecName(leg.codec)) return `there is no codec ${String(leg.codec)}`
    if (!isIPv4(leg.remoteIp) || (leg.plain && !isIPv4(leg.plain.ip))) return "the remote address is no IPv4 address"
    const portMin = leg.plain ? 0 : 1
    if (!isPort(leg.remotePort, portMin)) return `the remote port is not in ${portMin}..65535`
    if (leg.plain && !isPort(leg.plain.port, 0)) return "the source port is not in 0..65535"
    return undefined
}

function isPort(port: number, min: number): boolean {
    return Number.isInteger(port) && port >= min && port <= 65535
}
