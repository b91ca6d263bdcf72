/**
 * A group server's core in virtual time: events in, answers and messages out, nothing waits. Used by the stories.
 */

import { nextDueMs } from "../../servers/group/core/lifecycle.ts"
import {
    type Answer,
    type Command,
    type Context,
    emptyDurable,
    newState,
    policy,
    type Send,
    type State,
    type Write,
} from "../../servers/group/core/model.ts"
import { flush } from "../../servers/group/core/pushes.ts"
import { step } from "../../servers/group/core/step.ts"

/** A Monday, 09:00:00 UTC. */
export const monday = 1_800_003_600

export class World {
    nowMs = monday * 1000
    state: State = newState(emptyDurable())
    /** All that was sent, in order. */
    sent: Send[] = []
    writes: Write[] = []
    private ids = 0
    private requests = 0

    get now(): number {
        return this.nowMs / 1000
    }

    /** Lets time pass, running every deadline on the way at its own time. */
    pass(seconds: number): void {
        const untilMs = this.nowMs + seconds * 1000
        for (;;) {
            const dueMs = nextDueMs(this.state, policy)
            if (dueMs === undefined || dueMs > untilMs) break
            this.nowMs = Math.max(this.nowMs, dueMs)
            this.run({ type: "tick" })
        }
        this.nowMs = untilMs
    }

    ask(kind: "ep" | "rs", from: string, verb: string, message: Record<string, unknown> = {}): Answer {
        this.requests++
        return this.run({ type: "request", kind, from, verb, message: { id: this.requests, ...message } })!
    }

    do(command: Command, only?: string): Answer {
        const actor = "http:test"
        return this.run(
            only === undefined ? { type: "command", actor, command } : { type: "command", actor, command, only },
        )!
    }

    tell(kind: "ep" | "rs", from: string, state: unknown, retained = false): Answer | undefined {
        return this.run({ type: "state", kind, from, state, retained })
    }

    run(event: Parameters<typeof step>[1]): Answer | undefined {
        const context: Context = { nowMs: this.nowMs, newId: () => `s-${++this.ids}`, writes: [] }
        const answer = step(this.state, event, context, policy)
        this.sent.push(...flush(this.state, context))
        this.writes.push(...context.writes)
        return answer
    }

    /** A restart: what was stored comes back, what was live does not. */
    restart(): void {
        const { durable } = this.state
        const copy = structuredClone({ ...durable })
        this.state = newState(copy)
        this.run({ type: "tick" })
    }

    /** What `to` was sent since the last look. */
    take<T = Record<string, unknown>>(to: string, verb?: string): T[] {
        const taken = this.sent.filter(send => send.to === to && (verb === undefined || send.verb === verb))
        this.sent = this.sent.filter(send => !taken.includes(send))
        return taken.map(send => send.message as T)
    }

    /** Rooms that are enrolled and have said hello. */
    rooms(...names: string[]): void {
        for (const name of names) {
            this.do({ do: "enrolEndpoint", id: name, name: `Room ${name}`, secretHash: "-" })
            this.hello(name)
        }
    }

    hello(room: string, boot = 1): Answer {
        return this.ask("ep", room, "hello", { v: 1, boot, board: "test", fw: "0", caps: [] })
    }

    /** Routing servers that are enrolled, have said hello and are online. */
    servers(...names: string[]): void {
        for (const [index, name] of names.entries()) {
            this.do({ do: "enrolServer", id: name, secretHash: "-" })
            this.serverHello(name, 1, `127.0.9.${index + 1}`)
        }
    }

    serverHello(name: string, boot = 1, ip = "127.0.9.1"): Answer {
        const ports = { linkPort: 7400, mediaPort: 7500, fingerprint: "ab".repeat(32) }
        return this.ask("rs", name, "hello", { v: 1, boot, ip, ...ports, dspUnits: 10 })
    }

    attach(room: string, server: string, boot = 1): void {
        this.tell("ep", room, { boot, on: 1, rs: server })
    }

    book(room: string, target: string, start = 0, minutes = 30, more: Record<string, unknown> = {}): Answer {
        return this.ask("ep", room, "book", { boot: 1, with: target, start, minutes, ...more })
    }
}

/** The session id of a booking that must have been made. */
export function sidOf(answer: Answer | undefined): string {
    if (!answer?.ok) throw new Error(`not booked: ${JSON.stringify(answer)}`)
    return String(answer.fields.sid)
}

/** The reason of a refusal, or "done". */
export function outcome(answer: Answer | undefined): string {
    if (!answer) return "nothing"
    return answer.ok ? "done" : answer.reason
}
