/**
 * The appliance: takes events (connection, messages, media engine, people, time) one by one, and leaves effects in
 * `context.effects`. Owns the agenda and what follows from each answer; the link and the call own their regions.
 * Never waits, never touches hardware, flash or sockets: the same code runs on the board, in the simulator and in tests.
 */

import { limits } from "../../protocol/limits"
import type { Agenda, AgendaItem, DirectoryEntry } from "../../protocol/messages"
import { parseTopic, stateTopic } from "../../protocol/topics"
import { toJson } from "../json"
import { parseJson } from "../mqtt/text"
import type { Request } from "../requests"
import { isDue, isOver, isSameItem, packItem } from "./agenda"
import { doneNote, hasShape, messageNote, ownRecord } from "./answers"
import { Call } from "./call"
import { Context, type Identity } from "./context"
import { Link } from "./link"
import { CallEvent, LinkEvent, Phase, shownPhase } from "./phases"

export interface Kept {
    agenda: AgendaItem[]
    /** The session in which the former life ended; "" when there was none. */
    session: string
    muted: boolean
    volume: number
}

export class Appliance {
    context: Context
    link: Link
    call: Call
    agenda: AgendaItem[]
    /** Sessions that did not fit into the agenda. */
    more = 0
    /** One page of whom it may call, from `directoryFrom` on; empty while it is being fetched. */
    directory: DirectoryEntry[] = []
    directoryFrom = 0
    hasMoreDirectory = false
    /** Messages refused as malformed. */
    malformed = 0

    private agendaVersion = -1
    private publishedState = ""

    constructor(identity: Identity, kept: Kept, random: () => number) {
        this.context = new Context(identity, random)
        this.link = new Link(this.context)
        this.call = new Call(this.context, this.link, kept.muted, kept.volume)
        this.agenda = kept.agenda
        const session = this.agenda.find(item => item.sid === kept.session)
        if (session) this.call.comeBack(session)
        tie(this.link, this.call)
    }

    phase(): Phase {
        return shownPhase(this.link.phase, this.call.phase)
    }

    /** The session whose sound is open; "" when there is none. */
    sessionId(): string {
        return this.call.phase === Phase.InSession ? this.call.sid : ""
    }

    // ---- the connection to the broker -------------------------------------------------------------------------------

    connected(): void {
        this.link.isOnline = true
        this.agendaVersion = -1
        this.publishedState = ""
        this.link.on(LinkEvent.Online)
    }

    disconnected(): void {
        this.link.isOnline = false
        this.link.on(LinkEvent.Offline)
    }

    /** The broker's return code: 2, 4 and 5 are about who we are; 1 and 3 may pass. */
    denied(code: number): void {
        this.link.isOnline = false
        this.link.denial = code
        if (code !== 3) this.link.on(LinkEvent.Denied)
    }

    /** The Will, and the state while connected. */
    stateJson(isOn: boolean): string {
        const { link, call } = this
        return toJson({
            boot: this.context.identity.boot,
            on: isOn ? 1 : 0,
            rs: isOn && link.isAttached() ? link.serverId() : undefined,
            sid: isOn && this.sessionId() !== "" ? call.sid : undefined,
            muted: isOn ? (call.muted ? 1 : 0) : undefined,
        })
    }

    // ---- messages ---------------------------------------------------------------------------------------------------

    message(topic: string, payload: Buffer): void {
        const where = parseTopic(topic)
        const isOurs =
            where && where.id === this.context.identity.id && payload.length <= limits.messageToApplianceBytes
        const value = isOurs ? parseJson(payload, ownRecord) : undefined
        if (!where || !hasShape(messageNote(where.verb), value)) {
            this.malformed++
            return
        }
        switch (where.verb) {
            case "agenda":
                if (where.peer === "group") this.agendaCame(value)
                return
            case "roster":
                if (this.isFromOwnServer(where.server) && value.sid === this.call.sid) this.call.rosterCame(value)
                return
            case "bye":
                if (this.isFromOwnServer(where.server)) this.bye(value.sid, value.reason)
                return
            default: {
                const request = this.context.requests.settle(where.server, value.re)
                if (!request) return
                if (where.verb === "refused") this.refused(request, value.reason, value.who, value.next || 0)
                else if (hasShape(doneNote(request.verb), value)) this.done(request, value)
                else {
                    this.malformed++
                    this.refused(request, "malformed", "maker", 0)
                }
            }
        }
    }

    private isFromOwnServer(server: string): boolean {
        return server !== "" && server === this.link.serverId()
    }

    private bye(sid: string | undefined, reason: string): void {
        if (sid === undefined) this.link.on(LinkEvent.ServerLost)
        else if (sid === this.call.sid) this.call.removed(reason)
    }

    private done(request: Request, answer: any) {
        const { context, link, call } = this
        switch (request.verb) {
            case "hello":
                link.name = answer.name
                context.identity.crash = undefined
                context.clock.sync(request.sentAtMs, context.nowMs, answer.nowMs)
                return link.on(LinkEvent.Registered)
            case "time":
                return context.clock.sync(request.sentAtMs, context.nowMs, answer.nowMs)
            case "candidates":
                return link.candidatesCame(answer.list)
            case "attach":
                return link.on(LinkEvent.Attached)
            case "join":
                return call.joined(answer)
            case "leave":
                return call.on(CallEvent.Left)
            case "directory":
                this.directory = answer.list
                this.hasMoreDirectory = answer.next !== undefined
                return
            case "book":
                return context.tell("done", "book", "", "", answer.start)
            default:
                return context.tell("done", request.verb, "", "", 0)
        }
    }

    private refused(request: Request, reason: string, who: string, next: number) {
        const { link, call } = this
        switch (request.verb) {
            case "hello":
                link.reason = reason
                return link.on(LinkEvent.NotRegistered)
            case "time":
                return
            case "candidates":
                link.reason = reason
                return link.on(LinkEvent.NoCandidates)
            case "attach":
                link.reason = reason
                return link.on(LinkEvent.NotAttached)
            case "join":
                // It has forgotten us: attach again, then the join is repeated.
                if (reason === "not-attached") return link.on(LinkEvent.NotAttached)
                return call.notJoined(reason, who, next)
            case "leave":
                return call.on(CallEvent.Left)
            default:
                this.context.tell(reason === "expired" ? "expired" : "refused", request.verb, reason, who, next)
        }
    }

    // ---- agenda and reminders ---------------------------------------------------------------------------------------

    private agendaCame(agenda: Agenda): void {
        if (agenda.n < this.agendaVersion) return
        this.agendaVersion = agenda.n
        const before = this.agenda
        this.agenda = agenda.list
        this.more = agenda.more
        const call = this.call
        const isListed = agenda.list.some(item => item.sid === call.sid && item.state !== "ended")
        // A list that is not full and without our session: it has ended or we are out of it.
        if (call.sid !== "" && !isListed && agenda.more === 0) call.ended()
        for (let i = 0; i < limits.agendaSessions; i++) {
            if (!isSameItem(before[i], this.agenda[i])) this.context.effects.push({ type: "save", key: `agenda${i}` })
        }
    }

    /** What is to be in flash under a key of an effect `save`, as JSON. */
    kept(key: string): string {
        const call = this.call
        switch (key) {
            case "muted":
                return call.muted ? "1" : "0"
            case "volume":
                return `${call.volume}`
            case "session":
                return toJson(call.phase === Phase.InSession || call.isRejoining ? call.sid : "")
            default:
                return packItem(this.agenda[key.charCodeAt(6) - 48])
        }
    }

    private remind() {
        const { call, link } = this
        if (link.phase === Phase.Unprovisioned || call.phase > Phase.Reminding) return
        // Nothing can be joined with a wrong secret, and that is what people must be told first.
        if (link.phase === Phase.Refused) return call.on(CallEvent.NotDue)
        const nowSeconds = this.context.nowSeconds()
        const isOnline = link.isOnline
        const due = this.agenda.find(item => isDue(item, isOnline, nowSeconds) && !call.isDismissed(item.sid))
        const reminded = call.reminder ? call.reminder.sid : ""
        if (reminded !== "" && (!due || due.sid !== reminded)) call.on(CallEvent.NotDue)
        call.reminder = due
        if (due) call.on(CallEvent.Due)
    }

    private endWhenOver(): void {
        const { call, link } = this
        const nowSeconds = this.context.nowSeconds()
        if (call.phase !== Phase.InSession && !call.isRejoining) return
        const item = this.agenda.find(one => one.sid === call.sid)
        if (item && isOver(item, link.isOnline, nowSeconds)) call.ended()
    }

    // ---- what people ask for ----------------------------------------------------------------------------------------

    book(withWhom: string, startSeconds: number, minutes: number): void {
        const boot = this.context.identity.boot
        this.context.ask("", "book", { boot, with: withWhom, start: startSeconds, minutes })
    }

    /** The booker ends a session; anybody else will not come. */
    drop(item: AgendaItem): void {
        this.call.dismiss(item.sid)
        this.context.ask("", item.mine ? "cancel" : "decline", { sid: item.sid })
    }

    /** Nobody looks at the directory any more. */
    forgetDirectory(): void {
        this.directory = []
        this.context.requests.drop("directory")
    }

    /** Asks for the page of the directory that starts at `from`. */
    askDirectory(from: number): void {
        this.directory = []
        this.directoryFrom = from
        this.hasMoreDirectory = false
        this.context.ask("", "directory", { from })
    }

    // ---- the media engine -------------------------------------------------------------------------------------------

    mediaAppeared(): void {
        this.context.isMediaUp = true
        this.link.mediaAppeared()
        this.call.mediaAppeared()
    }

    mediaVanished(): void {
        this.context.isMediaUp = false
        this.context.mediaIp = ""
        this.call.mediaVanished()
    }

    mediaAddress(ip: string, port: number): void {
        const isFirst = this.context.mediaIp === ""
        this.context.mediaIp = ip
        this.context.mediaPort = port
        if (isFirst && this.link.isAttached()) this.call.on(CallEvent.Attached)
    }

    serverLost(ip: string): void {
        if (this.link.server && this.link.server.ip === ip) this.link.on(LinkEvent.ServerLost)
    }

    // ---- time, and the end of each turn --------------------------------------------------------------------------------

    /** After each event, and at least a few times a second: what time brings, and what is to be told to others. */
    settle(nowMs: number): void {
        const context = this.context
        context.nowMs = nowMs
        let expired = context.requests.expire(nowMs)
        while (expired) {
            this.refused(expired, "expired", "", 0)
            expired = context.requests.expire(nowMs)
        }
        this.link.tick()
        this.call.tick()
        this.endWhenOver()
        this.remind()
        if (!this.link.isOnline) return
        const state = this.stateJson(true)
        if (state !== this.publishedState) {
            this.publishedState = state
            const topic = stateTopic("ep", context.identity.id)
            context.effects.push({ type: "publish", topic, payload: state, retain: true })
        }
        context.flush()
    }
}

/** By itself: functions keep all that stands around them, which in the constructor is what was kept in flash. */
function tie(link: Link, call: Call): void {
    link.onAttached = () => call.on(CallEvent.Attached)
    link.onLost = () => call.on(CallEvent.SoundLost)
}
