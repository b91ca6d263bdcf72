/**
 * The one way into the core: an event changes the state and gives an answer; `flush` (in `pushes.ts`) then says what to
 * send. Whoever calls must commit `context.writes` before an answer or a push leaves the process.
 *
 * Owns who may ask what and in which shape. Never throws on what comes from outside.
 */

import { limits } from "../../../protocol/limits.ts"
import * as messages from "../../../protocol/messages.ts"
import * as servers from "../../../protocol/servers.ts"
import { problemWith, type Shape } from "../../../protocol/shape.ts"
import { answeredBefore, remember } from "./answered.ts"
import { book } from "./booking.ts"
import { candidatesFor } from "./candidates.ts"
import { directoryPage } from "./directory.ts"
import { takeDistances } from "./distances.ts"
import { enrol } from "./enrolment.ts"
import { cancel, decline, joined, left, record, tick, want } from "./lifecycle.ts"
import type { Answer, Context, GroupEvent, Policy, Refusal, State } from "./model.ts"
import { audit, done, refuse } from "./outcome.ts"
import { pick } from "./pick.ts"
import { connection, giveUpUnheard, heard } from "./presence.ts"
import { endpointState, helloEndpoint, helloServer, serverState } from "./registration.ts"
import { takeReservation } from "./reservation.ts"

/** Shapes of the requests, by kind of sender and verb. What is not here does not exist. */
const requestShapes: Record<"ep" | "rs", Record<string, Shape<unknown>>> = {
    ep: {
        hello: messages.helloShape,
        time: messages.timeShape,
        candidates: messages.candidatesShape,
        directory: messages.directoryShape,
        book: messages.bookShape,
        cancel: messages.sessionRequestShape,
        decline: messages.sessionRequestShape,
    },
    rs: {
        hello: servers.serverHelloShape,
        want: servers.wantShape,
        joined: servers.joinedShape,
        left: servers.leftShape,
        distances: servers.distancesShape,
        reservation: servers.reservationReportShape,
    },
}

/** The answer to a request or command; for a state, a refusal when it is not taken; nothing for what time and the connection bring. */
export function step(state: State, event: GroupEvent, context: Context, policy: Policy): Answer | undefined {
    switch (event.type) {
        case "tick":
            tick(state, context, policy)
            giveUpUnheard(state, context, policy)
            return undefined
        case "connection":
            connection(state, event.up, context, policy)
            return undefined
        case "state": {
            heard(state, event.kind, event.from)
            const take = event.kind === "ep" ? endpointState : serverState
            const problem = take(state, event.from, event.state, event.retained, context, policy)
            return problem ? refuse("malformed", problem, "maker") : undefined
        }
        case "request":
            heard(state, event.kind, event.from)
            return event.kind === "ep"
                ? fromEndpoint(state, event.from, event.verb, event.message, context, policy)
                : fromServer(state, event.from, event.verb, event.message, context, policy)
        case "command":
            return command(state, event, context, policy)
    }
}

/** The fields of a request that has its shape, or why it is refused. */
function readRequest(kind: "ep" | "rs", verb: string, message: unknown): { ok: true; fields: unknown } | Refusal {
    const shapes = requestShapes[kind]
    if (!Object.hasOwn(shapes, verb)) return refuse("unsupported", `no verb ${verb}`, "maker")
    const problem = problemWith(shapes[verb], message)
    if (!problem) return { ok: true, fields: pick(shapes[verb], message) }
    // Too long is a choice of a person, not a mistake of the maker.
    const minutes = (message as { minutes?: unknown } | null)?.minutes
    if (verb === "book" && typeof minutes === "number" && minutes > limits.sessionMinutesMax)
        return refuse("too-long", `at most ${limits.sessionMinutesMax} minutes`, "you")
    return refuse("malformed", problem, "maker")
}

function fromEndpoint(
    state: State,
    from: string,
    verb: string,
    received: unknown,
    context: Context,
    policy: Policy,
): Answer {
    const row = state.durable.endpoints.get(from)
    if (!row) return refuse("unknown-endpoint", `${from} is not enrolled`, "operator")
    const read = readRequest("ep", verb, received)
    if (!read.ok) return read
    const message = read.fields
    if (verb === "hello") return helloEndpoint(state, row, message as messages.Hello, context)
    if (verb === "time") return done({ nowMs: context.nowMs })
    if (row.boot === 0) return refuse("not-registered", "hello first", "maker")

    switch (verb) {
        case "candidates": {
            const list = candidatesFor(state, row)
            if (list.length === 0) return refuse("no-servers", "no routing server is online", "operator")
            return done({ list })
        }
        case "directory":
            return done({ ...directoryPage(state, from, (message as { from: number }).from) })
        case "book":
            return bookOnce(state, from, message as messages.Book, context, policy)
        case "cancel":
            return cancel(state, (message as messages.SessionRequest).sid, from, `ep:${from}`, context)
        case "decline":
            return decline(state, (message as messages.SessionRequest).sid, from, context)
        default:
            return refuse("unsupported", `no verb ${verb}`, "maker")
    }
}

function bookOnce(state: State, from: string, message: messages.Book, context: Context, policy: Policy): Answer {
    const { with: target, start, minutes, title = "" } = message
    const booking = { booker: from, with: target, start, minutes, title }
    return once(state, `ep:${from}`, `${message.boot}.${message.id}`, JSON.stringify(booking), context, policy, () =>
        book(state, booking, `ep:${from}`, context, policy),
    )
}

function fromServer(
    state: State,
    from: string,
    verb: string,
    received: unknown,
    context: Context,
    policy: Policy,
): Answer {
    const row = state.durable.servers.get(from)
    if (!row) return refuse("unknown-server", `${from} is not enrolled`, "operator")
    const read = readRequest("rs", verb, received)
    if (!read.ok) return read
    const message = read.fields
    if (verb === "hello") return helloServer(state, row, message as servers.ServerHello, context, policy)
    if (row.boot === 0) return refuse("not-registered", "hello first", "maker")
    if (verb === "distances") return takeDistances(state, from, message as servers.Distances)
    if (verb === "reservation")
        return takeReservation(state, from, message as servers.ReservationReport, context, policy)
    const { sid, ep, reason } = message as { sid: string; ep: string; reason?: Refusal["reason"] }
    switch (verb) {
        case "want":
            return want(state, from, sid, ep, context)
        case "joined":
            return joined(state, from, sid, ep, context)
        case "left":
            return left(state, from, sid, ep, reason, context)
        default:
            return refuse("unsupported", `no verb ${verb}`, "maker")
    }
}

function command(
    state: State,
    event: Extract<GroupEvent, { type: "command" }>,
    context: Context,
    policy: Policy,
): Answer {
    const { actor, command: wanted, key, only } = event
    const act = (): Answer => {
        if (wanted.do === "cancel") return cancel(state, wanted.sid, only, actor, context)
        if (wanted.do === "record") return record(state, wanted, only, actor, context)
        if (wanted.do !== "book") return enrol(state, wanted, actor, context)
        if (only !== undefined && wanted.booking.booker !== only) {
            audit(context, actor, "book", wanted.booking.with, "not-allowed", { ...wanted.booking })
            return refuse("not-allowed", `this token books for ${only} only`, "operator")
        }
        return book(state, wanted.booking, actor, context, policy)
    }
    if (key === undefined) return act()
    // A secret is new on each try and not part of what was asked for.
    const request = JSON.stringify({ ...wanted, secretHash: undefined })
    return once(state, actor, key, request, context, policy, act)
}

function once(
    state: State,
    sender: string,
    key: string,
    request: string,
    context: Context,
    policy: Policy,
    act: () => Answer,
): Answer {
    const before = answeredBefore(state, sender, key, request)
    if (before) return before
    const answer = act()
    remember(state, { key, sender, atMs: context.nowMs, request, answer }, context, policy)
    return answer
}
