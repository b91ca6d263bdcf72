/**
 * The call: reminder, joining, the session and leaving it. Owns mute and volume, and keeps the promise that a muted
 * microphone stays muted until a person lifts it. `phases.ts` says which action answers what.
 */

import { limits } from "../../protocol/limits"
import type { AgendaItem, JoinDone, Roster } from "../../protocol/messages"
import { ipv4ToInt } from "../../protocol/text"
import type { Context } from "./context"
import type { Link } from "./link"
import { CallEvent, callAction, Phase } from "./phases"

/** Refusals that no repetition will change. */
const finalReasons = ["ended", "unknown-session", "not-a-member", "not-allowed", "unsupported"]

/** Sessions that a person left or declined and must not be reminded of again. */
const maxDismissed = 8
/** A volume that was not touched for this long is kept. */
const volumeRestsMs = 3000

export class Call {
    phase: Phase = Phase.Idle
    /** The session that it is in, or on the way into or out of; "" when there is none. */
    sid = ""
    title = ""
    people = 0
    /** Who speaks, or spoke last; "" when nobody has. */
    speaker = ""
    isRecorded = false
    /** Per cent that the network loses; 0: too little to speak of. */
    loss = 0
    /** The session that a person is being reminded of. */
    reminder: AgendaItem | undefined
    remindedAtMs = 0
    isRejoining = false

    private volumeSaveAtMs = -1
    private joinByMs = 0
    private retryAtMs = -1
    private attempt = 0
    private verifiedAtMs = 0
    /** The keys of the open leg, which name it, as each answer has others; "" when it is closed. */
    private leg = ""
    private dismissed: string[] = []

    constructor(
        private context: Context,
        private link: Link,
        public muted: boolean,
        public volume: number,
    ) {}

    on(event: CallEvent) {
        switch (callAction(this.phase, event)) {
            case "b":
                this.phase = Phase.Reminding
                this.remindedAtMs = this.context.nowMs
                return
            case "q":
                this.reminder = undefined
                this.phase = Phase.Idle
                return
            case "j":
                return this.begin()
            case "s":
                return this.sendJoin()
            case "x":
                return this.leave()
            case "e":
                this.endSound()
                this.phase = Phase.Idle
                return
            case "y":
                return this.rejoin()
            case "g":
                this.phase = Phase.Idle
                this.sid = ""
        }
    }

    join(sid: string, title: string): void {
        if (this.phase > Phase.Reminding) return
        this.sid = sid
        this.title = title
        this.on(CallEvent.Join)
    }

    /** The former life ended in this session: back into it as soon as there is a server, muted as it is. */
    comeBack(item: AgendaItem): void {
        this.sid = item.sid
        this.title = item.title || item.from
        this.phase = Phase.Joining
        this.isRejoining = true
    }

    joined(answer: JoinDone) {
        if (callAction(this.phase, CallEvent.Joined) !== "o" || answer.sid !== this.sid) return
        const context = this.context
        const ip = ipv4ToInt(answer.ip)
        if (ip < 0) return this.notJoined("malformed", "maker", 0)
        const { ssrc, port, pt, frameMs, key } = answer
        this.rosterCame(answer)
        this.attempt = 0
        if (key !== this.leg) {
            // The microphone's state goes first: an open leg must never begin louder than it should.
            context.effects.push({ type: "muted", isMuted: this.muted })
            context.effects.push({ type: "open", ssrc, ip, port, payloadType: pt, frameMs, key })
        }
        this.leg = key
        if (this.phase === Phase.InSession) return
        this.phase = Phase.InSession
        this.isRejoining = false
        context.effects.push({ type: "save", key: "session" })
    }

    rosterCame(roster: Partial<Roster>): void {
        this.people = roster.people || 0
        this.speaker = roster.speaker || ""
        this.isRecorded = roster.rec === 1
        this.loss = roster.loss || 0
    }

    notJoined(reason: string, who: string, nextSeconds: number): void {
        if (callAction(this.phase, CallEvent.NotJoined) !== "u") return
        const isFinal = finalReasons.indexOf(reason) >= 0
        if ((this.phase === Phase.InSession || this.isRejoining) && !isFinal) {
            this.retryAtMs = this.context.nowMs + this.context.backoffMs(this.attempt)
            this.attempt++
            return
        }
        this.context.tell(reason === "expired" ? "expired" : "refused", "join", reason, who, nextSeconds)
        this.on(CallEvent.Ended)
    }

    /** The session is over. */
    ended(): void {
        if (callAction(this.phase, CallEvent.Ended) !== "e") return
        this.context.tell("done", "ended", "", "", 0)
        this.dismiss(this.sid)
        this.on(CallEvent.Ended)
    }

    /** The routing server has taken the appliance out of the session: for good, or because it cannot just now. */
    removed(reason: string) {
        if (finalReasons.indexOf(reason) >= 0) return this.ended()
        this.on(CallEvent.SoundLost)
        this.notJoined(reason, "", 0)
    }

    dismiss(sid: string): void {
        if (this.dismissed.indexOf(sid) < 0) this.dismissed.push(sid)
        if (this.dismissed.length > maxDismissed) this.dismissed.shift()
    }

    isDismissed(sid: string): boolean {
        return this.dismissed.indexOf(sid) >= 0
    }

    toggleMute(): void {
        this.muted = !this.muted
        const effects = this.context.effects
        effects.push({ type: "muted", isMuted: this.muted })
        effects.push({ type: "save", key: "muted" })
    }

    turnVolume(steps: number): void {
        this.volume = Math.max(0, Math.min(100, this.volume + steps * 5))
        this.context.effects.push({ type: "volume", level: this.volume })
        // Flash wears: only what the knob stays at is kept.
        this.volumeSaveAtMs = this.context.nowMs + volumeRestsMs
    }

    /** The engine tells its microphone's state: it may have restarted, or another hand may be at it. */
    engineMuted(on: boolean): void {
        if (on !== this.muted) this.context.effects.push({ type: "muted", isMuted: this.muted })
    }

    mediaAppeared(): void {
        this.context.effects.push({ type: "muted", isMuted: this.muted })
        this.context.effects.push({ type: "volume", level: this.volume })
        // It may be the same engine, with a leg open that this boot knows nothing of.
        if (this.leg === "") this.context.effects.push({ type: "close" })
        if (this.link.isAttached()) this.on(CallEvent.Attached)
    }

    mediaVanished(): void {
        this.on(CallEvent.SoundLost)
    }

    /** Nothing is heard on the leg: ask the server whether it still has it. */
    legLost(): void {
        if (this.link.isAttached() && this.context.nowMs - this.verifiedAtMs > limits.requestTimeoutMs)
            this.on(CallEvent.Attached)
    }

    tick(): void {
        const nowMs = this.context.nowMs
        if (this.phase === Phase.Joining && !this.isRejoining && nowMs >= this.joinByMs)
            this.notJoined("expired", "", 0)
        if (this.volumeSaveAtMs >= 0 && nowMs >= this.volumeSaveAtMs) {
            this.volumeSaveAtMs = -1
            this.context.effects.push({ type: "save", key: "volume" })
        }
        if (this.retryAtMs >= 0 && nowMs >= this.retryAtMs) {
            this.retryAtMs = -1
            if (this.link.isAttached()) this.on(CallEvent.Attached)
        }
    }

    private begin(): void {
        this.phase = Phase.Joining
        this.reminder = undefined
        this.isRejoining = false
        this.attempt = 0
        this.joinByMs = this.context.nowMs + limits.requestTimeoutMs
        if (this.link.isAttached()) this.sendJoin()
    }

    private sendJoin(): void {
        const context = this.context
        // Without an engine there is nowhere to send the sound to; its appearing tries again.
        if (!context.isMediaUp || context.mediaIp === "") return
        this.verifiedAtMs = context.nowMs
        const { mediaIp, mediaPort, mediaCodecs } = context
        context.ask(this.link.serverId(), "join", { sid: this.sid, ip: mediaIp, port: mediaPort, codecs: mediaCodecs })
    }

    private rejoin(): void {
        if (this.phase === Phase.InSession || this.isRejoining) {
            this.isRejoining = true
            this.context.requests.drop("join")
            if (this.leg !== "") this.context.effects.push({ type: "close" })
            this.leg = ""
        }
        this.phase = Phase.Joining
    }

    private leave() {
        const sid = this.sid
        this.endSound()
        this.dismiss(sid)
        this.phase = Phase.Idle
        const server = this.link.serverId()
        if (server === "") return
        this.phase = Phase.Leaving
        this.context.ask(server, "leave", { sid })
    }

    private endSound() {
        const effects = this.context.effects
        effects.push({ type: "close" })
        effects.push({ type: "save", key: "session" })
        this.context.requests.drop("join")
        this.leg = ""
        this.isRejoining = false
        this.retryAtMs = -1
        this.sid = ""
        this.rosterCame({ people: 0 })
    }
}
