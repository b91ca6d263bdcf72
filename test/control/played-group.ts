/**
 * The group server as routing servers see it, played: greets them, tells each of all others, tells sessions, hears what has
 * become of their reservations.
 */

import { EventEmitter } from "node:events"
import type { Peer, ReservationReport, ServerSession } from "../../protocol/servers.ts"
import { type BrokerAddress, connectParty, type TestParty } from "../support/mqtt.ts"

interface GroupEvents {
    /** `atMs`: of the monotonic clock, when it came. */
    reservation: [rs: string, report: ReservationReport, atMs: number]
}

/** The key of a session. No secret, as nothing here is. */
export function keyOf(sid: string): string {
    return Buffer.alloc(32, sid).toString("base64")
}

export class PlayedGroup extends EventEmitter<GroupEvents> {
    /** What was heard last of each session's reservation. */
    readonly reports = new Map<string, ReservationReport>()
    readonly #party: TestParty
    readonly #pairs: readonly [string, string][]
    readonly #sessions = new Map<string, ServerSession>()
    readonly #known = new Map<string, Omit<Peer, "static">>()
    #n = 0

    private constructor(party: TestParty, pairs: readonly [string, string][]) {
        super()
        this.#party = party
        this.#pairs = pairs
        this.setMaxListeners(0)
        // It may live for as long as it likes.
        party.closed.catch(() => {})
        party.client.on("message", (topic, payload) => this.#onMessage(topic, payload))
    }

    /** `pairs`: static neighbours. */
    static async start(
        broker: BrokerAddress,
        secret: string,
        pairs: readonly [string, string][],
    ): Promise<PlayedGroup> {
        const group = new PlayedGroup(await connectParty(broker, "group", secret), pairs)
        await group.#party.subscribe("parley/v1/rs/+/out/group/#")
        await group.#party.publish("parley/v1/group/state", { boot: 1, on: 1 }, { retain: true })
        return group
    }

    /** Tells a session to these servers, with its key to those that process it. */
    async tell(servers: readonly string[], session: ServerSession): Promise<void> {
        this.#sessions.set(session.sid, session)
        const mixers = this.#mixersOf(session)
        const whole = { ...session, mixers, key: keyOf(session.sid) }
        const tellOne = (id: string) =>
            this.#party.publish(`parley/v1/rs/${id}/in/group/session`, mixers.includes(id) ? whole : session)
        await Promise.all([...new Set([...servers, ...mixers])].map(tellOne))
    }

    /** Servers with members, the source, and those where the tree branches. */
    #mixersOf({ sid, source, members }: ServerSession): string[] {
        const mixers = new Set([source])
        for (const { rs } of members) if (rs !== undefined) mixers.add(rs)
        const tree = this.reports.get(sid)?.tree ?? []
        const ends = tree.flatMap(({ rs, parent }) => [rs, parent])
        for (const end of ends) if (ends.filter(other => other === end).length > 2) mixers.add(end)
        return [...mixers].sort()
    }

    async endSession(servers: readonly string[], sid: string): Promise<void> {
        const message = { sid, reason: "ended" }
        this.#sessions.delete(sid)
        await Promise.all(servers.map(id => this.#party.publish(`parley/v1/rs/${id}/in/group/end`, message)))
    }

    /** The next report on a session of which `holds` says true, with its time. */
    nextReport(
        sid: string,
        holds: (report: ReservationReport) => boolean,
    ): Promise<{ report: ReservationReport; atMs: number }> {
        return new Promise(resolve => {
            const look = (_rs: string, report: ReservationReport, atMs: number) => {
                if (report.sid !== sid || !holds(report)) return
                this.off("reservation", look)
                resolve({ report, atMs })
            }
            this.on("reservation", look)
        })
    }

    end(): Promise<void> {
        return this.#party.end()
    }

    #onMessage(topic: string, payload: Buffer): void {
        const atMs = performance.now()
        // Nobody awaits them one by one.
        this.#party.inbox.length = 0
        const [, , kind, id, , , verb] = topic.split("/")
        if (kind !== "rs" || payload.length === 0) return
        const message = JSON.parse(payload.toString())
        if (typeof message.id !== "number") return
        const answer = { re: message.id, nowMs: Date.now() }
        const answered = this.#party.publish(`parley/v1/rs/${id}/in/group/done`, answer)
        answered.catch(() => {})
        if (verb === "reservation") {
            const session = this.#sessions.get(message.sid)
            const before = session && String(this.#mixersOf(session))
            this.reports.set(message.sid, message)
            if (session && String(this.#mixersOf(session)) !== before) this.tell([], session).catch(() => {})
            this.emit("reservation", id, message, atMs)
        }
        if (verb !== "hello") return
        const { ip, linkPort, mediaPort, fingerprint } = message
        this.#known.set(id, { rs: id, ip, linkPort, mediaPort, fingerprint })
        answered.then(() => this.#tellPeers()).catch(() => {})
    }

    async #tellPeers(): Promise<void> {
        const n = ++this.#n
        const isPair = (a: string, b: string) => this.#pairs.some(pair => pair.includes(a) && pair.includes(b))
        for (const id of this.#known.keys()) {
            const others = [...this.#known.values()].filter(peer => peer.rs !== id)
            const list = others.map(peer => ({ ...peer, static: isPair(id, peer.rs) ? 1 : 0 }))
            await this.#party.publish(`parley/v1/rs/${id}/in/group/peers`, { n, list })
        }
    }
}
