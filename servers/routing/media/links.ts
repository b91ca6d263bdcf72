/**
 * The links of a media plane: where its sessions' trees go on at neighbours, by peer and by the label that packets carry.
 *
 * Owns which links are held, their farewell when the tree moves, and what protects a session on its links. Never opens a link:
 * packets leave through `send`, and who has received one asks here whose it is.
 */

import { randomInt } from "node:crypto"
import { codecs, isCodecName } from "../../../media/codecs.ts"
import { failure, type Outcome, success } from "../../../media/outcome.ts"
import { srtpCarriedTagBytes } from "../../../media/srtp.ts"
import type { TickerClock } from "../../../media/ticker.ts"
import { Channel, tickMs } from "./channel.ts"
import { channelStatistics } from "./channel-statistics.ts"
import type { LinkStatistics, PlaneRefusal, SessionKeys, TreeLink } from "./interface.ts"
import { LinkProtection } from "./link-protection.ts"
import type { Sessions } from "./sessions.ts"

const linksMost = 4096
/** So long at most a link that has left the tree is heard: its far side may hear of the change later. */
const farewellMs = 300
const u32 = 4294967295

export interface HeldLink extends TreeLink {
    channel: Channel
    sinceMs: number
    /** When it left the tree; what is still under way is heard to its end, or until a link that came instead has sound. */
    leftMs: number | undefined
}

export class Links {
    /** By peer, then by the label that its packets carry. */
    private readonly links = new Map<string, Map<number, HeldLink>>()
    /** By session. */
    private readonly protections = new Map<string, LinkProtection>()

    constructor(
        private readonly sessions: Sessions,
        private readonly clock: TickerClock,
        /** Sends one packet to a peer, under the label that it handed out. */
        private readonly send: (peer: string, label: number, packet: Buffer) => void,
    ) {}

    add(link: TreeLink): Outcome<void, PlaneRefusal> {
        const { session, peer, labelIn, labelOut, codec = "pcmu" } = link
        if (!session || !peer || !isLabel(labelIn) || !isLabel(labelOut))
            return failure("malformed", "a link needs a session, a peer and two labels", "maker")
        const left = this.at(peer, labelIn)
        // A label that is handed out anew ends what it stood for.
        if (left?.leftMs !== undefined && (left.session !== session || left.channel.codec.name !== codec))
            this.drop(left)
        const known = this.links.get(peer)
        const sameLabel = known?.get(labelIn)
        if (sameLabel && sameLabel.session !== session)
            return failure("taken", `label ${labelIn} of ${peer} belongs to another session`, "maker")
        if (!isCodecName(codec)) return failure("malformed", `there is no codec ${String(codec)}`, "maker")
        const held = this.find(session, peer)
        if (held && held.channel.codec.name !== codec) this.drop(held)
        else if (held) {
            if (held.leftMs !== undefined) held.sinceMs = this.clock.nowMs()
            held.leftMs = undefined
            held.channel.leaving = false
            known!.delete(held.labelIn)
            held.labelIn = labelIn
            held.labelOut = labelOut
            known!.set(labelIn, held)
            return success(undefined)
        }
        if (this.count() >= linksMost) return failure("too-many", `${linksMost} links are held already`, "operator")
        const full = this.sessions.problemWithCodec(codec)
        if (full) return full
        const created: HeldLink = {
            ...link,
            sinceMs: this.clock.nowMs(),
            leftMs: undefined,
            channel: new Channel(
                ...(["link", codecs[codec], randomInt(1, u32), randomInt(u32)] as const),
                packet => this.send(created.peer, created.labelOut, packet),
                srtpCarriedTagBytes,
            ),
        }
        created.channel.sender = this.protections.get(session)?.newSender()
        const labels = this.links.get(peer) ?? new Map<number, HeldLink>()
        labels.set(labelIn, created)
        this.links.set(peer, labels)
        this.sessions.enter(session, created.channel)
        return success(undefined)
    }

    remove(session: string, peer: string): boolean {
        const link = this.find(session, peer)
        if (!link || link.leftMs !== undefined) return false
        link.leftMs = this.clock.nowMs()
        link.channel.leaving = true
        // With nothing under way, or nobody who would hear it, there is nothing to wait for.
        if (!this.dropDeserted(session) && isDrained(link, link.leftMs)) this.drop(link)
        return true
    }

    /** Ends the links of a session in which nobody is left. True when that was so. */
    dropDeserted(session: string): boolean {
        if (!this.sessions.isDeserted(session)) return false
        for (const labels of [...this.links.values()])
            for (const link of [...labels.values()]) if (link.session === session) this.drop(link)
        return true
    }

    /** Links that have left the tree and need not be heard any more. */
    dropLeft(nowMs: number): void {
        for (const labels of this.links.values())
            for (const link of labels.values()) {
                if (link.leftMs === undefined) continue
                const isOver = isDrained(link, nowMs) || nowMs - link.leftMs > farewellMs
                if (isOver || this.isReplaced(link.session, link.leftMs)) this.drop(link)
            }
    }

    dropAll(): void {
        for (const labels of [...this.links.values()]) for (const link of [...labels.values()]) this.drop(link)
    }

    setSessionKeys(session: string, keys: SessionKeys | undefined): void {
        const before = this.protections.get(session)
        if (!keys) this.protections.delete(session)
        else if (!before) this.protections.set(session, new LinkProtection(keys))
        // Who sends on under the same key keeps the place in it.
        if (keys && before?.update(keys)) return
        const protection = this.protections.get(session)
        for (const labels of this.links.values())
            for (const link of labels.values())
                if (link.session === session) link.channel.sender = protection?.newSender()
    }

    protectionOf(session: string): LinkProtection | undefined {
        return this.protections.get(session)
    }

    at(peer: string, label: number): HeldLink | undefined {
        return this.links.get(peer)?.get(label)
    }

    peerOf(channel: Channel): string | undefined {
        for (const labels of this.links.values())
            for (const link of labels.values()) if (link.channel === channel) return link.peer
        return undefined
    }

    /** Of those that are part of a tree. */
    statistics(nowMs: number): LinkStatistics[] {
        return [...this.links.values()].flatMap(labels =>
            [...labels.values()]
                .filter(({ leftMs }) => leftMs === undefined)
                .map(link => ({ peer: link.peer, ...channelStatistics(link.session, link.channel, nowMs) })),
        )
    }

    private drop(link: HeldLink): void {
        const labels = this.links.get(link.peer)
        labels?.delete(link.labelIn)
        if (labels?.size === 0) this.links.delete(link.peer)
        this.sessions.leave(link.session, link.channel)
    }

    /** A link that has come with the same change of the tree has sound: twice the same voice would be an echo. */
    private isReplaced(session: string, leftMs: number): boolean {
        for (const labels of this.links.values())
            for (const { session: of, leftMs: isLeaving, sinceMs, channel } of labels.values())
                if (of === session && isLeaving === undefined && sinceMs > leftMs - farewellMs && channel.active)
                    return true
        return false
    }

    private find(session: string, peer: string): HeldLink | undefined {
        for (const link of this.links.get(peer)?.values() ?? []) if (link.session === session) return link
        return undefined
    }

    private count(): number {
        let count = 0
        for (const labels of this.links.values()) count += labels.size
        return count
    }
}

/** Nothing is there to be heard, and the next packet is overdue. */
function isDrained({ channel }: HeldLink, nowMs: number): boolean {
    return channel.jitter.isDry && nowMs - channel.lastHeardMs > 2 * tickMs
}

function isLabel(label: number): boolean {
    return Number.isInteger(label) && label >= 0 && label <= u32
}
