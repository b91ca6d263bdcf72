/**
 * The group server's part in the world: opens sessions, lets servers join late and leave, moves the source when it has crashed, ends
 * sessions, and gives way when a source says what is short.
 *
 * Owns the sessions as the group server knows them. Signalling takes `signalMs` each way, in order.
 */

import { reservationLimits } from "../../../protocol/reservation.ts"
import type { Report } from "./checker.ts"
import type { PlannedSession } from "./scenario.ts"
import type { SimulatedServer } from "./server.ts"
import type { World } from "./world.ts"

/** Over the broker, one way. */
const signalMs = 5

/** closed: not begun, or over. opening: wished, nothing reported. active: as the source said last. */
export type Phase = "closed" | "opening" | "active"

export interface Session {
    readonly plan: PlannedSession
    readonly sid: string
    phase: Phase
    version: number
    source: SimulatedServer
    /** Boot of the source that was told. */
    sourceBoot: number
    /** DSP units by server, the source's among them. */
    members: Map<SimulatedServer, number>
    /** Where members have been let in, so that their units are held [claim 14]. */
    present: Set<SimulatedServer>
}

export class GroupServer {
    readonly sessions: Session[]
    private readonly bySid = new Map<string, Session>()
    /** From then on nothing is wished for that somebody refuses: so that a run comes to rest. */
    private givesUp = false
    counts = { wishes: 0, actives: 0, refusals: 0, degraded: 0, ended: 0 }

    constructor(private readonly world: World) {
        this.sessions = world.scenario.sessions.map(plan => ({
            plan,
            sid: plan.sid,
            phase: "closed",
            version: 0,
            source: world.servers[plan.members[0].server],
            sourceBoot: 0,
            members: new Map(),
            present: new Set(),
        }))
        for (const session of this.sessions) this.bySid.set(session.sid, session)
        world.onReport((server, report) => this.world.agenda.in(signalMs, () => this.onReport(server, report)))
    }

    session(sid: string): Session | undefined {
        return this.bySid.get(sid)
    }

    plan() {
        const { agenda, scenario, groupRandom: random } = this.world
        for (const session of this.sessions) agenda.at(session.plan.openMs, () => this.open(session))
        const gapMs = () => -Math.log(1 - random.fraction()) * scenario.changeEveryMs
        for (let atMs = 3000 + gapMs(); atMs < scenario.busyMs; atMs += gapMs()) agenda.at(atMs, () => this.change())
    }

    /** The run is to come to rest: nobody joins any more, and what is refused ends. */
    rest() {
        this.givesUp = true
    }

    endAll() {
        for (const session of this.sessions) if (session.phase !== "closed") this.end(session)
    }

    // ---- what people do ---------------------------------------------------------------------------------------------------------

    private open(session: Session) {
        const { servers } = this.world
        if (session.phase !== "closed") return
        session.members.clear()
        for (const { server, dspUnits } of session.plan.members)
            if (servers[server].isAlive) session.members.set(servers[server], dspUnits)
        const [first] = session.members.keys()
        if (!first) return
        session.source = first
        this.wish(session)
    }

    private change() {
        const { world } = this
        const { groupRandom: random } = world
        const session = random.pick(this.sessions)
        const what = random.fraction()
        const server = random.pick(world.servers)
        const dspUnits = 1 + random.below(3)
        if (this.givesUp) return
        if (session.phase === "closed") return this.open(session)
        if (what < 0.4) {
            if (session.members.has(server) || !server.isAlive) return
            session.members.set(server, dspUnits)
            return this.wish(session)
        }
        const others = [...session.members.keys()].filter(member => member !== session.source)
        if (what < 0.7) {
            if (others.length === 0) return this.end(session)
            this.leave(session, random.pick(others))
            return this.wish(session)
        }
        if (what < 0.85 || others.length === 0) return this.end(session)
        this.move(session, random.pick(others))
    }

    private leave(session: Session, member: SimulatedServer) {
        session.members.delete(member)
        if (!session.present.delete(member)) return
        if (member.isAlive) member.reservation.ledger.holdPresent(session.sid, 0)
    }

    private end(session: Session) {
        const { sid, source } = session
        session.phase = "closed"
        this.counts.ended++
        for (const member of [...session.members.keys()]) this.leave(session, member)
        this.drop(sid, source)
    }

    /** Another member becomes the source; the old one stays a member while it lives. */
    private move(session: Session, to: SimulatedServer) {
        if (!to.isAlive) return
        const { source } = session
        session.source = to
        // The new wish and the drop take different ways: either may be first.
        const dropFirst = this.world.groupRandom.chance(0.5)
        if (dropFirst) this.drop(session.sid, source)
        this.wish(session)
        if (!dropFirst) this.drop(session.sid, source)
    }

    // ---- to and from the routing servers -----------------------------------------------------------------------------------------

    private wish(session: Session) {
        const { world } = this
        const { sid, source, plan } = session
        session.version++
        session.phase = "opening"
        this.counts.wishes++
        const { version } = session
        const { bandwidthKbps } = plan
        const dspUnits = session.members.get(source) ?? 0
        const destinations = [...session.members]
            .filter(([member]) => member !== source)
            .map(([member, units]) => ({ rs: member.id, dspUnits: units }))
        const { bootId } = source
        session.sourceBoot = bootId
        world.agenda.in(signalMs, () => {
            if (!source.isAlive || source.bootId !== bootId) return this.sourceLost(session, version)
            const wish = { sid, version, bandwidthKbps, dspUnits, destinations }
            for (const checker of world.checkers) checker.onWish?.({ ...wish, source })
            world.act(source, { type: "wish", wish })
        })
    }

    private drop(sid: string, source: SimulatedServer) {
        const { world } = this
        const { bootId } = source
        world.agenda.in(signalMs, () => {
            if (!source.isAlive || source.bootId !== bootId) return
            for (const checker of world.checkers) checker.onDrop?.(sid, source)
            world.act(source, { type: "drop", sid })
        })
    }

    private onReport(server: SimulatedServer, report: Report) {
        const session = this.bySid.get(report.sid)
        if (!session || session.phase === "closed" || session.source !== server) return
        switch (report.type) {
            case "active": {
                const reached = new Set(report.tree.map(({ rs }) => rs))
                for (const member of session.members.keys()) if (member !== server && !reached.has(member.id)) return
                session.phase = "active"
                this.counts.actives++
                for (const member of session.members.keys()) this.letIn(session, member)
                return
            }
            case "refused":
            case "degraded": {
                // It answers an earlier wish.
                if (Math.floor(report.ep / reservationLimits.epochsPerVersion) !== session.version) return
                if (report.type === "refused") this.counts.refusals++
                else this.counts.degraded++
                const short = new Set(report.short.map(({ rs }) => rs))
                if (this.givesUp || short.has(server.id)) return this.end(session)
                let dropped = 0
                for (const member of [...session.members.keys()])
                    if (short.has(member.id)) {
                        this.leave(session, member)
                        dropped++
                    }
                if (dropped === 0 || session.members.size < 2) return this.end(session)
                return this.wish(session)
            }
        }
    }

    /** The routing server lets members in as far as it has units for them, as it does with those who attach. */
    private letIn(session: Session, member: SimulatedServer) {
        const units = session.members.get(member) ?? 0
        if (!member.isAlive || session.present.has(member)) return
        if (member.reservation.ledger.holdPresent(session.sid, units)) session.present.add(member)
    }

    /** A server that crashed: told by its Will, after a while. */
    onCrash(server: SimulatedServer) {
        const { agenda, groupRandom: random } = this.world
        for (const session of this.sessions) session.present.delete(server)
        agenda.in(random.between(500, 3000), () => {
            for (const session of this.sessions) {
                if (session.phase === "closed" || !session.members.has(server)) continue
                const isLost = !server.isAlive || server.bootId !== session.sourceBoot
                if (session.source === server) {
                    if (isLost) this.sourceLost(session, session.version)
                } else if (!server.isAlive && random.chance(0.5)) {
                    this.leave(session, server)
                    this.wish(session)
                } else if (session.phase === "active") this.letIn(session, server)
            }
        })
    }

    /** The wish of this version is not known to its source any more. */
    private sourceLost(session: Session, version: number) {
        if (session.phase === "closed" || session.version !== version) return
        const { groupRandom: random } = this.world
        if (!session.source.isAlive) session.members.delete(session.source)
        const alive = [...session.members.keys()].filter(member => member.isAlive)
        if (alive.length === 0) return this.end(session)
        session.source = random.pick(alive)
        this.wish(session)
    }
}
