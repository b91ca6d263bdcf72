/**
 * The endpoint's probe of a routing server: a 32-byte datagram that the server returns with its load filled in.
 * The answer is as long as the question, so that a forged source address gains nothing by it.
 *
 *     0  "PLPB"   4  version 1   5  kind (1 asks, 2 answers)   6  load in per cent (answers)   7  0
 *     8  sequence u32 BE   12  tag u32 BE   16..31  opaque to the server (the asker's clock)
 *
 * The first byte (0x50) lies outside of the ranges of STUN, DTLS and RTP (RFC 7983), so one port can carry them all.
 */

export const probeBytes = 32
export const probeAsks = 1
export const probeAnswers = 2

export interface Probe {
    kind: number
    load: number
    sequence: number
    tag: number
}

export function writeProbe(target: Buffer, probe: Probe): void {
    target.write("PLPB", 0, "latin1")
    target[4] = 1
    target[5] = probe.kind
    target[6] = probe.load
    target[7] = 0
    target.writeUInt32BE(probe.sequence, 8)
    target.writeUInt32BE(probe.tag, 12)
}

/** The probe in `datagram`, or undefined when it is none. */
export function readProbe(datagram: Buffer): Probe | undefined {
    if (datagram.length !== probeBytes || datagram.readUInt32BE(0) !== 0x504c5042 || datagram[4] !== 1) return undefined
    const kind = datagram[5]
    if (kind !== probeAsks && kind !== probeAnswers) return undefined
    return { kind, load: datagram[6], sequence: datagram.readUInt32BE(8), tag: datagram.readUInt32BE(12) }
}
