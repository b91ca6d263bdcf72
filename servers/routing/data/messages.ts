/**
 * What the control side of a routing server and its data plane say to each other, whether the data plane runs in a thread of
 * its own or not. Types only; everything here can be cloned from one thread to another.
 *
 * Both directions are in order. A link is named by a number that is used once: a new TLS connection to the same server is
 * another link, so that nothing of the old one is taken for the new one's.
 */

import type { DatagramKeys } from "../link/datagram.ts"
import type { Leg, LegReport, SessionKeys, TreeLink } from "../media/interface.ts"
import type { TransitBranch } from "../transit/transit.ts"
import type { PathConditions, UnderlayPlan } from "../underlay/conditions.ts"
import type { RecordRequest } from "./recordings.ts"
import type { DataStatistics, LinkFigures, LinksStatistics } from "./statistics.ts"

/** What the data plane is made with. */
export interface DataOptions {
    /** The routing server's own IPv4 address [claim 2]. */
    ip: string
    /** UDP port of endpoints; 0 takes a free one. */
    mediaPort: number
    /** In this life; told in hellos. */
    bootId: number
    /** Between our hellos. */
    helloMs: number
    /** The network to emulate from the start. */
    underlay?: UnderlayPlan
    /** Datagrams one by one, by Node, though the system could take many at once. Only a thread of its own heeds it. */
    udp?: "dgram"
}

/** A link whose TLS connection stands and has given keys. */
export interface OpenLink {
    link: number
    peer: string
    ip: string
    port: number
    keys: DatagramKeys
}

export type DataRequest =
    /** The UDP port of links; answered by `bound`. */
    | { type: "bindLinks"; port: number }
    /** The UDP port of endpoints; answered by `bound`. */
    | { type: "bindMedia" }
    | ({ type: "openLink" } & OpenLink)
    | { type: "closeLink"; link: number }
    /** Nothing is kept of a server that is no longer of any interest. */
    | { type: "forgetPeer"; peer: string }
    /** Both ends have each other as neighbours: media and routed datagrams pass. */
    | { type: "adjacent"; link: number; on: boolean }
    /** A burst of probes, so that the delay is known at once. */
    | { type: "probe"; link: number; count: number }
    /** Answered by `caughtUp` when all datagrams that have come so far are taken in. */
    | { type: "catchUp"; link: number }
    | { type: "routed"; link: number; body: Uint8Array }
    | { type: "media"; link: number; label: number; packet: Uint8Array }
    /** The session passes through over exactly these links; none: it no longer does. */
    | { type: "transit"; sid: string; branches: readonly TransitBranch[] }
    | { type: "addLeg"; leg: Leg }
    | { type: "mute"; ssrc: number; on: boolean }
    | { type: "removeLeg"; ssrc: number }
    /** What protects a session on links [claim 4]; undefined: it is not processed here any more. */
    | { type: "sessionKeys"; session: string; keys: SessionKeys | undefined }
    /** How good each leg is; answered by `legReports`. */
    | { type: "legReports" }
    /** The mix of a session goes into a file from now on, or no longer. */
    | ({ type: "record" } & RecordRequest)
    | { type: "stopRecording"; session: string }
    | { type: "addLink"; treeLink: TreeLink }
    | { type: "removeLink"; session: string; peer: string }
    /** Answered by `silentLegs`. */
    | { type: "silentLegs"; sinceMs: number }
    /** Addresses of the servers of the list: only they are answered trains of packets. */
    | { type: "listed"; addresses: string[] }
    /** Told in the answer to every probe of an endpoint. */
    | { type: "load"; percent: number }
    | { type: "emulate"; far: string; conditions?: PathConditions }
    /** Where a server is, so that conditions may name it. */
    | { type: "locate"; id: string; address: string }
    /** The control side is there; without it for long the neighbours must not believe that we are well. */
    | { type: "alive" }
    /** Answered by `statistics`. */
    | { type: "statistics"; number: number }
    /** Answered by `closed`. */
    | { type: "close" }

export type DataReport =
    | { type: "bound"; socket: "links" | "media"; port: number }
    | { type: "unbound"; socket: "links" | "media"; what: string }
    /** An authentic hello, which came at `atMs` of the shared clock. */
    | { type: "hello"; link: number; bootId: number; hearsMe: boolean; atMs: number; figures: LinkFigures }
    /** A probe was answered. */
    | { type: "measured"; link: number; figures: LinkFigures }
    | { type: "caughtUp"; link: number }
    /** No sequence number is left under these keys. */
    | { type: "exhausted"; link: number }
    | { type: "routed"; link: number; body: Uint8Array }
    | { type: "legRefused"; session: string; endpoint: string; what: string }
    | { type: "linkRefused"; session: string; peer: string; what: string }
    | { type: "transitRefused"; sid: string; what: string }
    | { type: "silentLegs"; legs: { session: string; endpoint: string }[] }
    | { type: "legReports"; legs: LegReport[] }
    /** Another speaks in a session: an endpoint here, or somebody behind the link to this server; neither: nobody. */
    | { type: "speaker"; session: string; endpoint: string | undefined; peer: string | undefined }
    /** Of links only; told now and then without being asked. */
    | { type: "links"; statistics: LinksStatistics }
    | { type: "statistics"; number: number; statistics: DataStatistics }
    | { type: "log"; level: "info" | "warn"; what: string; details: Record<string, unknown> }
    | { type: "closed" }

/** A handler for each kind of report; one that is missing ignores it. */
export type ReportHandlers = { [T in DataReport["type"]]?: (report: Extract<DataReport, { type: T }>) => void }
