/**
 * Runs the core in the real world: one batch of events after the other through `step`, one commit for all of the batch
 * (group commit), and only then the answers and pushes. Owns the clock, the deadline timer and chance.
 *
 * When a commit fails nothing of its batch has happened: the memory is read anew from the store, and everybody in the
 * batch is refused with `unavailable`.
 */

import { randomBytes } from "node:crypto"
import type { Logger } from "pino"
import { nextDueMs } from "./core/lifecycle.ts"
import {
    type Answer,
    type Context,
    policy as defaultPolicy,
    type GroupEvent,
    newState,
    type Policy,
    type Send,
    type State,
    type Write,
} from "./core/model.ts"
import { refuse } from "./core/outcome.ts"
import { flush } from "./core/pushes.ts"
import { step } from "./core/step.ts"
import type { Store } from "./store/store.ts"

export interface EngineOptions {
    store: Store
    log: Logger
    /** Takes the messages of a batch, after its commit. */
    send(messages: Send[]): void
    /** The set of those who may log in to the broker has changed. Before any answer of the batch leaves. */
    credentialsChanged(state: State): void
    policy?: Policy
    now?: () => number
}

interface Waiting {
    event: GroupEvent
    resolve(answer: Answer | undefined): void
}

/** Events that may wait; beyond this the server is overloaded and says so. */
const maxWaiting = 20_000
const maxBatch = 256
/** The clock may be set while a timer runs, so no deadline sleeps longer than this at a time. */
const maxTimerMs = 30_000

export class Engine {
    state: State
    readonly counters = { batches: 0, events: 0, commitFailures: 0, commitSeconds: 0 }
    readonly policy: Policy
    private readonly options: EngineOptions
    private readonly now: () => number
    private readonly waiting: Waiting[] = []
    private running: Promise<void> | undefined
    private timer: NodeJS.Timeout | undefined
    private stopped = false
    /** Whether the memory is what the store holds: not after a batch that failed, until it was read anew. */
    private isTrue = true
    /** After a failure the deadline is tried again only this much later. */
    private backoffMs = 0

    private constructor(options: EngineOptions, state: State) {
        this.options = options
        this.policy = options.policy ?? defaultPolicy
        this.now = options.now ?? Date.now
        this.state = state
    }

    /** Loads everything from the store and catches up with the time that has passed. */
    static async start(options: EngineOptions): Promise<Engine> {
        const now = options.now ?? Date.now
        const durable = await options.store.load(now() - (options.policy ?? defaultPolicy).endedMemoryMs)
        const engine = new Engine(options, newState(durable))
        options.credentialsChanged(engine.state)
        await engine.submit({ type: "tick" })
        return engine
    }

    get load(): number {
        return this.waiting.length
    }

    /** The answer comes after the commit; a state or tick gives undefined. Never rejects. */
    submit(event: GroupEvent): Promise<Answer | undefined> {
        if (this.stopped) return Promise.resolve(refuse("unavailable", "the group server is stopping", "nobody"))
        if (this.waiting.length >= maxWaiting)
            return Promise.resolve(refuse("unavailable", "the group server is overloaded", "operator"))
        return new Promise(resolve => {
            this.waiting.push({ event, resolve })
            this.running ??= this.run()
        })
    }

    /** Answers what is waiting, then stops. */
    async stop(): Promise<void> {
        this.stopped = true
        if (this.timer) clearTimeout(this.timer)
        await this.running
    }

    private async run(): Promise<void> {
        // Events that are already here join the first batch.
        await new Promise(resolve => setImmediate(resolve))
        while (this.waiting.length > 0) await this.batch(this.waiting.splice(0, maxBatch))
        // In the same turn as the look above, or an event that comes in between would wait for the next one.
        this.running = undefined
        this.plan()
    }

    private async batch(events: Waiting[]): Promise<void> {
        const context: Context = { nowMs: this.now(), newId, writes: [] }
        this.counters.batches++
        this.counters.events += events.length
        if (!this.isTrue) await this.reload()
        if (!this.isTrue) return this.refuseAll(events)
        let answers: (Answer | undefined)[]
        let sends: Send[]
        try {
            answers = events.map(({ event }) => step(this.state, event, context, this.policy))
            sends = flush(this.state, context)
            await this.commit(context.writes)
            if (context.writes.some(changesCredentials)) this.options.credentialsChanged(this.state)
        } catch (error) {
            this.counters.commitFailures++
            this.backoffMs = 1000
            this.options.log.error({ err: error, events: events.length }, "batch failed, nothing of it has happened")
            await this.reload()
            return this.refuseAll(events)
        }
        this.backoffMs = 0
        for (const [index, { resolve }] of events.entries()) resolve(answers[index])
        // The answers' continuations run before the pushes, so that `done` of a hello comes before its agenda.
        await Promise.resolve()
        this.options.send(sends)
    }

    private refuseAll(events: Waiting[]): void {
        for (const { resolve } of events) resolve(refuse("unavailable", "the store refused, try again", "operator"))
    }

    private async commit(writes: Write[]): Promise<void> {
        if (writes.length === 0) return
        const startedMs = performance.now()
        await this.options.store.commit(writes)
        this.counters.commitSeconds += (performance.now() - startedMs) / 1000
    }

    /** Keeps what is live: it is told by the broker, not by the store. */
    private async reload(): Promise<void> {
        this.isTrue = false
        try {
            const durable = await this.options.store.load(this.now() - this.policy.endedMemoryMs)
            const { live, version } = this.state
            // What the batch has noted as told was not sent.
            for (const told of live.told.values()) told.content = ""
            live.agendas.clear()
            this.state = newState(durable, live)
            this.isTrue = true
            // Versions that were promised but not stored may not have been sent; those sent were stored.
            this.state.version = Math.min(version, durable.reservedVersions)
            this.state.touched.peers = true
            this.state.touched.policy = true
            for (const session of durable.sessions.keys()) this.state.touched.sessions.add(session)
            for (const endpoint of durable.endpoints.keys()) this.state.touched.endpoints.set(endpoint, true)
            this.options.credentialsChanged(this.state)
        } catch (error) {
            this.options.log.fatal({ err: error }, "the store cannot be read")
        }
    }

    /** One timer for the next deadline of all sessions. */
    private plan(): void {
        if (this.timer) clearTimeout(this.timer)
        if (this.stopped) return
        const dueMs = nextDueMs(this.state, this.policy)
        if (dueMs === undefined) return
        const waitMs = Math.min(Math.max(this.backoffMs, dueMs - this.now()), maxTimerMs)
        this.timer = setTimeout(() => void this.submit({ type: "tick" }), waitMs)
    }
}

function changesCredentials(write: Write): boolean {
    return (write.table === "endpoints" || write.table === "servers") && ("remove" in write || write.put.boot === 0)
}

/** 16 letters and digits of which 80 bits are random: nobody joins a session by guessing. */
function newId(): string {
    const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return Array.from(randomBytes(16), byte => alphabet[byte & 31]).join("")
}
