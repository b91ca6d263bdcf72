/**
 * What the rest of a routing server sees of its media plane: legs of local endpoints, links of the session's tree, figures.
 * Types only. All identifiers come from the signalling, which has validated them; the plane only checks what it relies on.
 */

import type { CodecName } from "../../../media/codec.ts"
import type { MediaHost } from "../../../media/host.ts"
import type { LegKeys } from "../../../media/leg-keys.ts"
import type { Outcome } from "../../../media/outcome.ts"
import type { LegQuality } from "../../../media/rtp-reports.ts"
import type { UdpIo } from "../../../media/udp.ts"

export interface MediaPlaneOptions {
    /** The routing server's own IPv4 address [claim 2]. */
    ip: string
    /** UDP port of endpoint probes and RTP; 0 takes a free one (see `start`). */
    port: number
    /** Load in per cent, told in the answer to every probe. */
    loadPercent: () => number
    /**
     * Sends one RTP packet to a neighbour, with the label that the neighbour handed out for this session. `packet` belongs to
     * the plane and is written again at once: send it or copy it before returning. Must not throw.
     */
    sendOnLink: (peer: string, label: number, packet: Buffer) => void
    /** Another clock and another network than the process's own: those of a virtual world. */
    host?: MediaHost
    /** Stands between the plane and its socket, where a network is emulated. */
    overNetwork?: (io: UdpIo) => UdpIo
    /** Whether what comes from this address gets through the emulated network. */
    hears?: (ip: string) => boolean
    /**
     * Takes what other routing servers ask of this port and is no probe of an endpoint: true when it was theirs. Its answer goes
     * out by `reply`. Called for datagrams with a probe's first byte only.
     */
    serverDatagram?: (datagram: Buffer, ip: string, port: number, reply: (answer: Buffer) => void) => boolean
    /**
     * Somebody else is the active speaker of a session: an endpoint of this server, or somebody behind the link to this peer; neither:
     * nobody speaks. At most every 260 ms for a session; who speaks stays so through pauses, until another is clearly louder for 300 ms.
     */
    onSpeaker?: (session: string, endpoint: string | undefined, viaPeer: string | undefined) => void
    /** All that is heard in a session in one tick of 20 ms, at 16 kHz; valid during the call. Must not throw. */
    onMix?: (session: string, mix: Int16Array) => void
    /** Probes that one source address may ask a second before they are dropped. Default 200. */
    probesPerSecond?: number
    /** Things worth a log line; never called per packet. */
    log?: (event: string, details: Record<string, unknown>) => void
}

/**
 * An endpoint of a session at this server. Only RTP with this SSRC from this address is heard, and nothing is sent there
 * before the first such packet has come: endpoints send at once, so they miss nothing.
 */
export interface Leg {
    session: string
    endpoint: string
    /** Unique at this server; it names the leg. */
    ssrc: number
    remoteIp: string
    remotePort: number
    /** What it sends and hears. Default PCMU. The same leg with another codec begins anew. */
    codec?: CodecName
    /** SRTP keys, never used before. The same leg with others goes on under them. */
    keys?: LegKeys
    /** A standard RTP sender or receiver that an operator has admitted, without keys. Every other leg has keys. */
    plain?: PlainSource
}

/**
 * Where a plain leg's packets come from, whatever their SSRC. Port 0: it becomes known with the first packet of that address
 * that is RTP of the leg's codec and of no other leg. With `remotePort` 0 the leg is sent to where it comes from; else it is
 * sent to from the beginning.
 */
export interface PlainSource {
    ip: string
    port: number
    /** What its packets carry as payload type; default: the codec's own. */
    payloadType?: number
}

/** What the processing servers of a session share, derived for each of them: transit servers have none of it [claim 4]. */
export interface SessionKeys {
    /** Master key and salt of what this server sends on links. */
    own: Uint8Array
    /** Of each other processing server. */
    others: { rs: string; master: Uint8Array }[]
}

/** One link of the session's tree at this server. Labels are per peer: packets to it carry `labelOut`, from it `labelIn`. */
export interface TreeLink {
    session: string
    peer: string
    labelOut: number
    labelIn: number
    /** What both directions carry. Default PCMU. */
    codec?: CodecName
}

export type PlaneRefusal = "malformed" | "too-many" | "taken"

export interface LegStatistics extends LegQuality {
    session: string
    endpoint: string
    ssrc: number
    codec: CodecName
    sent: number
    received: number
    lost: number
    late: number
    duplicates: number
    /** Frames of 20 ms that were made up, and that the next packet held once more (Opus). */
    concealed: number
    repaired: number
    jitterMs: number
    /** Present play-out delay of the jitter buffer. */
    delayMs: number
    /** Level of what the endpoint says, in dBov (-127..0), smoothed over about 200 ms. */
    levelDb: number
    /** Time since the last packet; -1 when none came yet. */
    silentMs: number
    /** By the server: see `setMuted`. */
    muted: boolean
    /** Without SRTP, by an operator's word. */
    plain: boolean
    /** RTCP compounds of the far side. */
    reports: number
}

/** How good a leg is, from its reports (`media/rtp-reports.ts`). */
export interface LegReport extends LegQuality {
    session: string
    endpoint: string
    ssrc: number
}

export interface LinkStatistics
    extends Omit<LegStatistics, "endpoint" | "ssrc" | "plain" | "reports" | keyof LegQuality> {
    peer: string
}

export interface PlaneStatistics {
    sessions: number
    legs: LegStatistics[]
    links: LinkStatistics[]
    dspUnitsUsed: number
    /** Datagrams on the media port, and why some were dropped. */
    datagrams: {
        received: number
        probesAnswered: number
        probesLimited: number
        /** RTP of a leg, accepted. */
        accepted: number
        /** Neither a probe nor valid RTP. */
        malformed: number
        /** No leg has this SSRC. */
        unknownLeg: number
        /** The leg's SSRC from another address. */
        wrongAddress: number
        /** Payload type or length that the leg does not use. */
        wrongPayload: number
        /** From links: no such label of this peer, or not RTP. */
        unknownLabel: number
        /** RTCP of legs, valid. */
        reports: number
        /** SRTP or SRTCP whose tag is wrong, and whose packet has come before. */
        forged: number
        replayed: number
        /** From links: the session's keys have not come, or nobody's fits. */
        noKey: number
        sendFailures: number
    }
    ticks: {
        done: number
        /** Started more than 5 ms after their time (see `lateTickMs`). */
        late: number
        /** Left out because the process was stalled for longer than the catch-up allows. */
        skipped: number
        latenessP99Ms: number
        latenessMaxMs: number
        /** Mean work of a tick. */
        workMeanMs: number
    }
}

/** The shape of `MediaPlane` in `plane.ts`. */
export interface MediaPlaneFace {
    start(): Promise<Outcome<{ port: number }>>
    /** Adds a leg; the same leg again (same session, endpoint, ssrc) only moves its remote address. */
    addLeg(leg: Leg): Outcome<void, PlaneRefusal>
    /**
     * What protects the links of a session at this server; undefined: nothing may be heard or said on them. Links that have no keys
     * yet carry nothing.
     */
    setSessionKeys(session: string, keys: SessionKeys | undefined): void
    /** How good each leg is at present. */
    reports(): LegReport[]
    /** True when there was such a leg. */
    removeLeg(ssrc: number): boolean
    /** Mutes a leg here or lifts it: of a muted leg nothing is ever mixed, whatever its packets hold. True when there is such a leg. */
    setMuted(ssrc: number, on: boolean): boolean
    /** Adds a link of the session's tree; the same session and peer again replaces the labels and keeps the sound going. */
    addLink(link: TreeLink): Outcome<void, PlaneRefusal>
    removeLink(session: string, peer: string): boolean
    /** An RTP packet that came from `peer` under `label`. Unknown ones are counted and dropped. Never throws. */
    receiveFromLink(peer: string, label: number, packet: Buffer): void
    dspUnitsUsed(): number
    /** Legs from which nothing fit has come for `sinceMs`, or since they were added. */
    silentLegs(sinceMs: number): Leg[]
    statistics(): PlaneStatistics
    close(): Promise<void>
}
