/**
 * One seed, one run: sessions come and go while the network breaks, then everything comes to rest and is over; the checkers look on.
 * Stops at the first violation.
 */

import { reservationDefaults } from "../../../servers/routing/reservation/model.ts"
import { linkStateDefaults } from "../../../servers/routing/route/link-state.ts"
import { sampleMs, Violation } from "./checker.ts"
import { answerMostMs } from "./checkers/i7-answered.ts"
import { allCheckers } from "./checkers/index.ts"
import { Faults } from "./faults.ts"
import { GroupServer } from "./group-server.ts"
import { makeScenario, type Scenario } from "./scenario.ts"
import { type Reader, Trace } from "./trace.ts"
import { World } from "./world.ts"

export interface RunOptions {
    /** Takes the story line by line. */
    reader?: Reader
    /** Keep-alives as well. */
    everything?: boolean
    scenario?: Scenario
}

export interface RunResult {
    seed: number
    /** Events that reached a core of some server. */
    events: number
    /** The same for the same seed and the same code. */
    hash: string
    virtualMs: number
    violation?: { checker: string; seen: string; atMs: number }
    /** What happened, and what the checkers have looked at. */
    counts: Record<string, number>
}

export function runSeed(seed: number, options: RunOptions = {}): RunResult {
    const scenario = options.scenario ?? makeScenario(seed)
    const run = new Run(scenario, new Trace(options.reader, options.everything))
    let violation: RunResult["violation"]
    try {
        run.all()
    } catch (error) {
        const { nowMs } = run.world.agenda
        const seen = error instanceof Violation ? error.seen : `${(error as Error).stack}`
        const checker = error instanceof Violation ? error.checker : "exception"
        violation = { checker, seen, atMs: nowMs }
        options.reader?.(`${(nowMs / 1000).toFixed(5).padStart(10)} s  VIOLATION of ${checker}: ${seen}`)
    }
    const counts: Record<string, number> = { ...run.group.counts, faults: run.faults.happened }
    for (const checker of run.world.checkers) Object.assign(counts, checker.counts)
    const { events, agenda, trace } = run.world
    return { seed, events, hash: trace.hash(), virtualMs: agenda.nowMs, counts, ...(violation && { violation }) }
}

class Run {
    readonly world: World
    readonly group: GroupServer
    readonly faults: Faults

    constructor(scenario: Scenario, trace: Trace) {
        this.world = new World(scenario, trace)
        this.group = new GroupServer(this.world)
        this.faults = new Faults(this.world)
        const crashes = { name: "group server", onCrash: this.group.onCrash.bind(this.group) }
        this.world.watch([...allCheckers(this.world, this.group), crashes])
    }

    all(): void {
        const { world, group, faults } = this
        const { busyMs } = world.scenario
        world.start()
        group.plan()
        faults.plan()
        this.sampleUntil(busyMs)
        world.trace.say(busyMs, () => "everything comes to rest")
        group.rest()
        faults.rest()
        world.isKind = true
        this.settle()
        for (const checker of world.checkers) checker.onSettled?.()
        world.trace.say(world.agenda.nowMs, () => "every session ends")
        group.endAll()
        this.sampleUntil(world.agenda.nowMs + this.leaseMs)
        for (const checker of world.checkers) checker.onEnd?.()
        // The longest that an advertisement is put off, and its flood.
        world.agenda.runUntil(world.agenda.nowMs + 2 * linkStateDefaults.maxIntervalMs + 5000)
        for (const checker of world.checkers) checker.onQuiet?.()
    }

    /** The longest lease, and how late a message may be. */
    private get leaseMs(): number {
        return reservationDefaults.leaseMs + this.world.scenario.latestMs + 2 * sampleMs
    }

    private sampleUntil(untilMs: number): void {
        const { world } = this
        while (world.agenda.nowMs < untilMs) {
            world.agenda.runUntil(Math.min(untilMs, world.agenda.nowMs + sampleMs))
            world.sample()
        }
    }

    /**
     * Until every session is active or over, the faults are, and no source has begun anything for as long as a lease lasts or a
     * repair waits between two attempts.
     */
    private settle(): void {
        const { world, group, faults } = this
        const { agenda } = world
        const quietMs = Math.max(this.leaseMs, reservationDefaults.repairMostMs + reservationDefaults.setupMostMs)
        const longestMs = Math.max(...world.servers.map(({ limits }) => answerMostMs(limits) + limits.orphanMs))
        const capMs = agenda.nowMs + 12_000 + 2 * longestMs
        let quietSinceMs = agenda.nowMs
        let before = ""
        for (;;) {
            this.sampleUntil(agenda.nowMs + sampleMs)
            const now = this.whatSourcesDo()
            if (now !== before || faults.open > 0 || group.sessions.some(({ phase }) => phase === "opening"))
                quietSinceMs = agenda.nowMs
            before = now
            const isOver = agenda.nowMs - quietSinceMs > quietMs
            // A tree that is just being improved is no leftover: wait until it is done.
            if (isOver && !this.isTrying()) return
            if (agenda.nowMs < capMs) continue
            // Leftovers are the business of the checkers; who never rests is not.
            if (isOver) return
            throw new Violation("I7", "sessions do not come to rest")
        }
    }

    private whatSourcesDo(): string {
        const { world, group } = this
        const phases = group.sessions.map(({ phase, version, source }) => `${phase} ${version} ${source.bootId}`)
        for (const server of world.servers)
            if (server.isAlive)
                for (const { sid, ep, role } of server.reservation.attempts())
                    if (role === "source") phases.push(`${sid} ${ep}`)
        return phases.join()
    }

    private isTrying(): boolean {
        return this.world.servers.some(
            server => server.isAlive && server.reservation.attempts().some(({ state }) => state !== "active"),
        )
    }
}
