/**
 * From a raw TCP connection to a neighbour whose identity is proven: TLS 1.3 with both certificates, pinned
 * fingerprints, `greet` both ways, keys for datagrams.
 *
 * Owns the order of these steps and their time limit. Never decides who is a neighbour: the caller's `peers` does.
 */

import { createHash } from "node:crypto"
import { connect as connectTls, type SecureContextOptions, type TLSSocket } from "node:tls"
import {
    type Greet,
    greetShape,
    linkApplicationProtocol,
    linkExporterLabel,
    linkLimits,
    linkVersion,
} from "../../../protocol/link.ts"
import { problemWith } from "../../../protocol/shape.ts"
import type { Underlay } from "../underlay/underlay.ts"
import { ControlChannel } from "./control-channel.ts"
import { type DatagramKeys, exportedBytes, splitKeys } from "./datagram.ts"
import type { Identity } from "./identity.ts"

export interface LinkPeer {
    /** Identifier of the routing server. */
    rs: string
    ip: string
    linkPort: number
    /** SHA-256 of its certificate (DER), 64 hex digits. */
    fingerprint: string
}

export interface Self {
    id: string
    bootId: number
    ip: string
    identity: Identity
    /** Between hellos; `helloIntervalMs` when absent. */
    helloMs?: number
    /** The emulated network; absent: there is none. */
    underlay?: Underlay
}

export type Meeting =
    | { ok: true; peer: LinkPeer; bootId: number; helloMs: number; channel: ControlChannel; keys: DatagramKeys }
    | { ok: false; what: string }

/** TLS options of both sides. Certificates are self-signed, so the chain is not judged; the fingerprint is. */
export function secureOptions(identity: Identity) {
    const context: SecureContextOptions = {
        key: identity.keyPem,
        cert: identity.certificatePem,
        minVersion: "TLSv1.3",
        maxVersion: "TLSv1.3",
    }
    return { ...context, rejectUnauthorized: false, ALPNProtocols: [linkApplicationProtocol] }
}

/** Dials `peer` from our own address [claim 2]. Calls `done` once. Returns what gives up. */
export function dial(self: Self, peer: LinkPeer, done: (meeting: Meeting) => void): () => void {
    const { underlay } = self
    if (!underlay || underlay.isPlain) return dialNow(self, peer, done)
    let giveUp = () => {}
    const timer = setTimeout(() => {
        cancel()
        done({ ok: false, what: "no connection in time" })
    }, linkLimits.greetWithinMs)
    let isConnected = false
    const cancel = underlay.whenConnected(peer.ip, () => {
        isConnected = true
        clearTimeout(timer)
        giveUp = dialNow(self, peer, done)
    })
    if (!isConnected)
        giveUp = () => {
            clearTimeout(timer)
            cancel()
            done({ ok: false, what: "given up" })
        }
    return () => giveUp()
}

function dialNow(self: Self, peer: LinkPeer, done: (meeting: Meeting) => void): () => void {
    // `localAddress` is handed on to net.connect; the types of tls.connect leave it out.
    const options = { ...secureOptions(self.identity), host: peer.ip, port: peer.linkPort, localAddress: self.ip }
    const socket = connectTls({ ...options, checkServerIdentity: () => undefined })
    return meet(self, socket, peer.ip, [peer], true, done, "secureConnect")
}

/** Meets whoever has connected; one of `peers` or a stranger. */
export function receive(
    self: Self,
    socket: TLSSocket,
    peers: LinkPeer[],
    done: (meeting: Meeting) => void,
): () => void {
    return meet(self, socket, socket.remoteAddress ?? "", peers, false, done, undefined)
}

function meet(
    self: Self,
    socket: TLSSocket,
    address: string,
    peers: LinkPeer[],
    iDialled: boolean,
    done: (meeting: Meeting) => void,
    secureEvent: "secureConnect" | undefined,
): () => void {
    let over = false
    let channel: ControlChannel | undefined
    const finish = (meeting: Meeting) => {
        if (over) return
        over = true
        clearTimeout(timer)
        if (!meeting.ok && channel) channel.close("closed")
        else if (!meeting.ok) socket.destroy()
        done(meeting)
    }
    const fail = (what: string) => finish({ ok: false, what })
    const timer = setTimeout(() => fail("no greeting in time"), linkLimits.greetWithinMs)
    // What happens on a path that is cut is not seen.
    const seen = () => !self.underlay?.isCut(address)
    socket.on("error", error => seen() && fail(error.message))
    socket.on("close", () => seen() && fail("closed before it greeted"))

    const onSecure = () => {
        const candidates = pinned(socket, peers)
        if (typeof candidates === "string") return fail(candidates)
        const keys = splitKeys(socket.exportKeyingMaterial(exportedBytes, linkExporterLabel, Buffer.alloc(0)), iDialled)
        const met = new ControlChannel(socket, self.underlay?.stream(address))
        channel = met
        met.onMessage = message => {
            const problem = problemWith(greetShape, message)
            if (problem) return fail(`greeting: ${problem}`)
            const greet = message as Greet
            const peer = candidates.find(candidate => candidate.rs === greet.rs)
            if (!peer) return fail(`the certificate is not that of "${greet.rs}"`)
            if (greet.v !== linkVersion) return fail(`speaks version ${greet.v} of the link, we speak ${linkVersion}`)
            const helloMs = greet.helloMs ?? linkLimits.helloIntervalMs
            finish({ ok: true, peer, bootId: greet.boot, helloMs, channel: met, keys })
        }
        met.onClosed = reason => fail(`closed before it greeted (${reason})`)
        const greet: Greet = { k: "greet", v: linkVersion, rs: self.id, boot: self.bootId }
        if (self.helloMs !== undefined) greet.helloMs = self.helloMs
        met.send(greet)
    }
    if (secureEvent) socket.once(secureEvent, onSecure)
    else onSecure()
    return () => fail("given up")
}

/** Those of `peers` whose fingerprint the certificate has, or what is wrong. */
function pinned(socket: TLSSocket, peers: LinkPeer[]): LinkPeer[] | string {
    if (socket.getProtocol() !== "TLSv1.3") return "no TLS 1.3"
    if (socket.alpnProtocol !== linkApplicationProtocol) return "another application protocol"
    // A resumed session would show the certificate of another time.
    if (socket.isSessionReused()) return "a resumed session"
    const certificate = socket.getPeerCertificate().raw
    if (!certificate) return "no certificate"
    const fingerprint = createHash("sha256").update(certificate).digest("hex")
    const candidates = peers.filter(peer => peer.fingerprint === fingerprint)
    return candidates.length > 0 ? candidates : `certificate ${fingerprint} is not listed`
}
