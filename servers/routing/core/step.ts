/**
 * The routing server as a state machine: one event in, its effects out. Binds the parts of the core; owns nothing itself.
 */

import type { Reason } from "../../../protocol/reasons.ts"
import type { joinedShape } from "../../../protocol/servers.ts"
import type { Of } from "../../../protocol/shape.ts"
import type { Ledger } from "../reservation/ledger.ts"
import { repeat } from "./answers.ts"
import { attach, detach, endpointState, forgetLost, sendAllAway } from "./attachments.ts"
import { endHeld, expireHeld, join, leave, refuseHeld, resumeHeld } from "./joins.ts"
import type { Effect, EndpointRequest, Event, GroupMessage, Self, State } from "./model.ts"
import { addPlain, plainName, removePlain } from "./plain.ts"
import * as registration from "./registration.ts"
import { onPeers, onPolicy } from "./servers.ts"
import {
    dismiss,
    end,
    endOverdue,
    learn,
    onLegQuality,
    onReserved,
    onSpeaker,
    onTree,
    tellRosters,
} from "./sessions.ts"
import { onCount } from "./tree.ts"

type Report = Of<typeof joinedShape>

/** Ids of one life; the next one starts above, or it would take an answer that is still under way for its own. */
const requestsOfLife = 2 ** 20

/** `randomSeed`: 32 random bits. `ledger`: the one of the reservation. `newKey`: fresh keys of a leg, as text. */
export function initialState(self: Self, randomSeed: number, ledger: Ledger, newKey: () => string): State {
    return {
        self,
        registration: { connected: false, registered: false },
        nextRequestId: 1 + (self.boot % 4096) * requestsOfLife,
        randomSeed,
        peers: { n: 0, list: [] },
        attachments: new Map(),
        sessions: new Map(),
        ended: new Map(),
        requests: new Map(),
        ssrcs: new Set(),
        tree: new Map(),
        ledger,
        touched: new Set(),
        draining: false,
        newKey,
        late: new Set(),
        speaking: new Map(),
    }
}

/** Changes `state` and returns what is to be done, in order. */
export function step(state: State, event: Event, nowMs: number): Effect[] {
    const out: Effect[] = []
    apply(state, event, nowMs, out)
    tellRosters(state, nowMs, out)
    return out
}

function apply(state: State, event: Event, nowMs: number, out: Effect[]) {
    switch (event.type) {
        case "connected":
            return registration.connected(state, nowMs, out)
        case "disconnected":
            return registration.disconnected(state)
        case "groupState":
            return registration.groupState(state, event.state, nowMs, out)
        case "fromGroup":
            return onGroup(state, event.content, nowMs, out)
        case "fromEndpoint":
            return onEndpoint(state, event.ep, event.content, nowMs, out)
        case "endpointState":
            return endpointState(state, event.ep, event.state, nowMs, out)
        case "control": {
            onCount(state.tree, event.peer, event.message)
            state.touched.add(event.message.sid)
            return
        }
        case "speaker":
            return onSpeaker(state, event.sid, event.speaking)
        case "legQuality":
            return onLegQuality(state, event.sid, event.ep, event.lossPercent)
        case "tree":
            onTree(state, event, out)
            return resumeHeld(state, event.sid, nowMs, out)
        case "reserved":
            onReserved(state, event.outcome, nowMs, out)
            return resumeHeld(state, event.outcome.sid, nowMs, out)
        case "addPlain":
            return addPlain(state, event.wish, out)
        case "removePlain":
            removePlain(state, event.sid, event.name, "by an operator", out)
            return
        case "legRefused":
        case "legSilent": {
            out.push({ type: "log", level: "warn", what: "no leg", details: { ...event } })
            const plain = plainName(event.ep)
            if (plain !== undefined) {
                removePlain(state, event.sid, plain, "no leg", out)
                return
            }
            return dismiss(state, event.sid, event.ep, "unavailable", nowMs, out)
        }
        case "delays":
            return registration.reportDistances(state, event.list, nowMs, out)
        case "tick":
            for (const sid of state.late) state.touched.add(sid)
            state.late.clear()
            expireHeld(state, nowMs, out)
            registration.repeatRequests(state, nowMs, out)
            endOverdue(state, nowMs, out)
            return forgetLost(state, nowMs, out)
        case "drain":
            state.draining = true
            for (const [sid, { known }] of state.sessions)
                if (known.source === state.self.id) out.push({ type: "reserve", event: { type: "drop", sid } })
            return sendAllAway(state, nowMs, out)
    }
}

function onGroup(state: State, { verb, message }: GroupMessage, nowMs: number, out: Effect[]) {
    switch (verb) {
        case "done":
            if (registration.answered(state, message.re)?.verb === "hello")
                registration.registered(state, message.nowMs, nowMs, out)
            return
        case "refused": {
            const request = registration.answered(state, message.re)
            const { reason, who, next } = message
            const what = message.what ?? ""
            if (request?.verb === "hello") registration.helloRefused(state, `${reason}: ${what}`, nowMs, out)
            if (request?.verb === "want")
                refuseHeld(state, message.re, { reason, what, who, ...(next === undefined ? {} : { next }) }, out)
            if (request?.verb === "joined") notTaken(state, request.message as Report, reason, nowMs, out)
            return
        }
        case "peers":
            return onPeers(state, message, out)
        case "policy":
            return onPolicy(state, message, out)
        case "session":
            if (learn(state, message, nowMs, out)) resumeHeld(state, message.sid, nowMs, out)
            return
        case "end":
            end(state, message.sid, message.reason, nowMs, out)
            endHeld(state, message.sid, out)
            return
    }
}

/** The group server does not know the session, or the endpoint in it: what is held for them here is void. */
function notTaken(state: State, { sid, ep }: Report, reason: Reason, nowMs: number, out: Effect[]) {
    if (reason === "ended" || reason === "unknown-session") end(state, sid, "ended", nowMs, out)
    else if (reason === "not-a-member") dismiss(state, sid, ep, reason, nowMs, out)
}

function onEndpoint(state: State, ep: string, request: EndpointRequest, nowMs: number, out: Effect[]) {
    // An attach comes first in a new life, whose ids may be those of the life before.
    if (request.verb !== "attach" && repeat(state, ep, request.message.id, out)) return
    switch (request.verb) {
        case "attach":
            return attach(state, ep, request.message, nowMs, out)
        case "detach":
            return detach(state, ep, request.message.id, nowMs, out)
        case "join":
            return join(state, ep, request.message, nowMs, out)
        case "leave":
            return leave(state, ep, request.message.sid, request.message.id, nowMs, out)
    }
}
