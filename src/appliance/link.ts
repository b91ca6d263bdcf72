/**
 * The link: from a connection to the broker to an attachment at the best routing server. Owns registration, the choice
 * of the server, its spare and its supervision; `phases.ts` says which action answers what. Never touches sessions.
 */

import { limits, protocolVersion } from "../../protocol/limits"
import type { Candidate } from "../../protocol/messages"
import { ipv4ToInt } from "../../protocol/text"
import { costUs, type Probed, ranked, unprobed } from "./choose"
import type { Context } from "./context"
import { LinkEvent, linkAction, Phase } from "./phases"

export class Link {
    phase: Phase = Phase.Connecting
    isOnline = false
    /** Why the broker refused, as its return code. */
    denial = 0
    /** What people call this appliance, from the group server. */
    name = ""
    /** Attached to, or on the way to. */
    server: Probed | undefined
    spare: Probed | undefined
    /** Why it does not get on, as a reason code; "" while it does. */
    reason = ""
    /** Called when attached, and when the server with the sound is gone. */
    onAttached: () => void = () => {}
    onLost: () => void = () => {}

    private candidates: Probed[] = []
    private probeTag = 0
    private probesEndAtMs = -1
    private retryAtMs = -1
    private attempt = 0

    constructor(private context: Context) {
        if (context.identity.id === "") this.phase = Phase.Unprovisioned
    }

    isAttached(): boolean {
        return this.phase === Phase.Idle
    }

    /** The routing server attached to, or on the way to; "" when there is none. */
    serverId(): string {
        return this.server ? this.server.rs : ""
    }

    on(event: LinkEvent) {
        const action = linkAction(this.phase, event)
        if (action === ".") return
        this.retryAtMs = -1
        switch (action) {
            case "r":
                return this.register()
            case "c":
                return this.enter(Phase.Connecting)
            case "d":
                return this.enter(Phase.Refused)
            case "h":
                return this.attachOrChoose()
            case "k":
                return this.choose()
            case "p":
                return this.probe()
            case "a":
                return this.attachToBest()
            case "n":
                return this.attachFailed()
            case "i":
                return this.attached()
            case "t":
                return this.attach(this.server as Probed)
            case "f":
                return this.forgetServer()
            case "l":
                this.forgetServer()
                return this.attachOrChoose()
            case "w":
                this.retryAtMs = this.context.nowMs + this.context.backoffMs(this.attempt)
                this.attempt++
        }
    }

    /** The group server's candidates have come. */
    candidatesCame(list: Candidate[]): void {
        this.candidates = list.map(unprobed)
        this.on(LinkEvent.Candidates)
    }

    /** The outcome of a probe: round trip and jitter in microseconds, load in per cent. */
    probed(tag: number, rttUs: number, jitterUs: number, answered: number, load: number): void {
        const one = this.candidates[tag - this.probeTag]
        if (!one || this.probesEndAtMs < 0) return
        one.isBack = true
        one.rttUs = rttUs
        // A server that loses probes would lose sound as well.
        if (answered > 0) one.costUs = costUs(rttUs, jitterUs, load) * (limits.probesPerCandidate - answered + 1)
        if (this.candidates.every(other => other.isBack)) this.probesEnd()
    }

    mediaAppeared() {
        if (this.phase === Phase.Choosing) this.on(LinkEvent.Retry)
        else if (this.isAttached()) this.watch()
    }

    tick() {
        const nowMs = this.context.nowMs
        if (this.probesEndAtMs >= 0 && nowMs >= this.probesEndAtMs) this.probesEnd()
        if (this.retryAtMs >= 0 && nowMs >= this.retryAtMs) this.on(LinkEvent.Retry)
        if (this.phase >= Phase.Choosing && this.context.clock.isStale(nowMs) && !this.context.requests.has("time"))
            this.context.ask("", "time", {})
    }

    private enter(phase: Phase) {
        this.phase = phase
        this.probesEndAtMs = -1
        for (const verb of ["hello", "candidates", "attach"]) this.context.requests.drop(verb)
    }

    private register() {
        this.enter(Phase.Registering)
        const identity = this.context.identity
        this.context.requests.repeatAll(this.context.nowMs)
        this.context.ask("", "hello", {
            v: protocolVersion,
            boot: identity.boot,
            board: identity.board,
            fw: identity.firmware,
            caps: ["pcmu"],
            crash: identity.crash,
        })
    }

    private choose() {
        this.enter(Phase.Choosing)
        // Without a media engine nothing can be probed; its appearing retries.
        if (this.context.isMediaUp) this.context.ask("", "candidates", {})
    }

    private attachOrChoose(): void {
        if (this.server) this.attach(this.server)
        else this.choose()
    }

    private probe() {
        const context = this.context
        this.probeTag += 16
        this.probesEndAtMs = context.nowMs + limits.probeTimeoutMs + limits.probesPerCandidate * 20 + 200
        for (let i = 0; i < this.candidates.length; i++) {
            const one = this.candidates[i]
            const ip = ipv4ToInt(one.ip)
            if (ip < 0) one.isBack = true
            else context.effects.push({ type: "probe", tag: this.probeTag + i, ip, port: one.port })
        }
        if (this.candidates.every(one => one.isBack)) this.probesEnd()
    }

    private probesEnd() {
        this.probesEndAtMs = -1
        this.on(LinkEvent.Probed)
    }

    private attachToBest(): void {
        const list = ranked(this.candidates)
        this.candidates = []
        if (list.length === 0) {
            this.reason = "no-servers"
            this.on(LinkEvent.NoCandidates)
            return
        }
        this.spare = list[1]
        this.attach(list[0])
    }

    private attach(server: Probed) {
        this.enter(Phase.Attaching)
        this.server = server
        this.context.ask(server.rs, "attach", { boot: this.context.identity.boot })
    }

    private attachFailed() {
        this.server = this.spare
        this.spare = undefined
        if (this.server) return this.attach(this.server)
        this.enter(Phase.Choosing)
        this.on(LinkEvent.NoCandidates)
    }

    private attached() {
        this.phase = Phase.Idle
        this.attempt = 0
        this.reason = ""
        this.watch()
        this.onAttached()
    }

    private watch() {
        const server = this.server as Probed
        this.context.effects.push({ type: "watch", ip: ipv4ToInt(server.ip), port: server.port })
    }

    private forgetServer() {
        this.server = this.spare
        this.spare = undefined
        this.context.effects.push({ type: "watch", ip: 0, port: 0 })
        this.onLost()
    }
}
