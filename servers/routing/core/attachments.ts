/**
 * Which endpoints have made this routing server their own, and when that is over.
 *
 * Owns attach, detach and the reading of retained endpoint states. Never decides about sessions; it only takes an endpoint
 * out of its own.
 */

import type { Attach, EndpointState } from "../../../protocol/messages.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import { done, refuse } from "./answers.ts"
import { loadPercent } from "./dsp.ts"
import { cancelHeld, dropHeld } from "./joins.ts"
import { type Attachment, coreLimits, type Effect, type State } from "./model.ts"
import { removeLeg } from "./sessions.ts"

export function attach(state: State, ep: string, request: Attach, nowMs: number, out: Effect[]) {
    const before = state.attachments.get(ep)
    if (state.draining)
        return refuse(state, ep, request.id, { reason: "draining", what: "it is being stopped", who: "operator" }, out)
    if (!before && state.attachments.size >= coreLimits.attachments) {
        const what = `${coreLimits.attachments} endpoints are attached already`
        return refuse(state, ep, request.id, { reason: "too-many", what, who: "operator" }, out)
    }
    if (!before || before.boot !== request.boot || before.lostMs !== undefined) {
        // A new life has forgotten its session and counts its requests anew.
        if (before) {
            // A new life would take the answer to a request of the former one for its own.
            if (before.boot !== request.boot) dropHeld(state, before)
            release(state, ep, before, "unavailable", nowMs, out)
        }
        state.attachments.set(ep, { boot: request.boot, confirmed: false, muted: false, answers: new Map() })
        out.push({ type: "follow", ep })
        out.push({ type: "log", level: "info", what: "attached", details: { ep, boot: request.boot } })
    } else before.elsewhereMs = undefined
    done(state, ep, request.id, { load: loadPercent(state) }, out)
}

export function detach(state: State, ep: string, re: number, nowMs: number, out: Effect[]): void {
    const attachment = state.attachments.get(ep)
    if (attachment) {
        release(state, ep, attachment, undefined, nowMs, out)
        forget(state, ep, out)
    }
    done(state, ep, re, {}, out)
}

export function endpointState(state: State, ep: string, now: EndpointState, nowMs: number, out: Effect[]) {
    const attachment = state.attachments.get(ep)
    const namesUs = now.on === 1 && now.rs === state.self.id
    if (!attachment) {
        // We were restarted and it does not know, or an old subscription of ours still speaks.
        if (namesUs) byeFromServer(ep, "not-attached", out)
        else out.push({ type: "unfollow", ep })
        return
    }
    if (attachment.lostMs !== undefined) {
        if (namesUs) byeFromServer(ep, "not-attached", out)
        return
    }
    if (now.boot !== attachment.boot) {
        // Less: the retained state or the Will of an earlier life, late. More: it has started anew.
        if (now.boot > attachment.boot && now.on === 1) lose(state, ep, attachment, "restarted", nowMs, out)
        return
    }
    if (now.on === 0) return lose(state, ep, attachment, "off", nowMs, out)
    setMuted(state, ep, attachment, now.muted === 1, out)
    // An endpoint that was cut from the broker names nobody until it has registered again: it is still here.
    if (now.rs === undefined) return
    if (namesUs) {
        attachment.confirmed = true
        attachment.elsewhereMs = undefined
    } else if (!attachment.confirmed) attachment.elsewhereMs ??= nowMs
    else {
        release(state, ep, attachment, undefined, nowMs, out)
        forget(state, ep, out)
        const details = { ep, to: now.rs }
        out.push({ type: "log", level: "info", what: "attached elsewhere", details })
    }
}

/** Everybody goes: the server stops. */
export function sendAllAway(state: State, nowMs: number, out: Effect[]): void {
    for (const [ep, attachment] of [...state.attachments]) {
        const wasHere = attachment.lostMs === undefined
        release(state, ep, attachment, "draining", nowMs, out)
        if (wasHere) byeFromServer(ep, "draining", out)
        forget(state, ep, out)
    }
}

export function forgetLost(state: State, nowMs: number, out: Effect[]): void {
    for (const [ep, { lostMs, elsewhereMs, sid, held }] of state.attachments) {
        if (lostMs !== undefined && nowMs - lostMs >= coreLimits.rememberLostMs) forget(state, ep, out)
        // It did not wait for our answer and has gone to another server.
        const isIdle = sid === undefined && held === undefined
        if (elsewhereMs !== undefined && isIdle && nowMs - elsewhereMs >= coreLimits.forgetElsewhereMs)
            forget(state, ep, out)
    }
}

/** Mute is honoured here as well: an engine that goes on sending is not heard. */
function setMuted(state: State, ep: string, attachment: Attachment, on: boolean, out: Effect[]): void {
    if (attachment.muted === on) return
    attachment.muted = on
    const leg = attachment.sid === undefined ? undefined : state.sessions.get(attachment.sid)?.legs.get(ep)
    if (leg) out.push({ type: "mute", ssrc: leg.ssrc, on })
}

function lose(state: State, ep: string, attachment: Attachment, why: string, nowMs: number, out: Effect[]): void {
    // Nobody is there to hear the answer, and the next life must not.
    dropHeld(state, attachment)
    release(state, ep, attachment, "unavailable", nowMs, out)
    attachment.lostMs = nowMs
    out.push({ type: "log", level: "info", what: "endpoint lost", details: { ep, why } })
}

/** Gives back all that is held for the endpoint. */
function release(
    state: State,
    ep: string,
    attachment: Attachment,
    reason: Reason | undefined,
    nowMs: number,
    out: Effect[],
): void {
    cancelHeld(state, ep, attachment, out)
    if (attachment.sid !== undefined) removeLeg(state, attachment.sid, ep, reason, nowMs, out)
}

function forget(state: State, ep: string, out: Effect[]): void {
    state.attachments.delete(ep)
    out.push({ type: "unfollow", ep })
}

function byeFromServer(ep: string, reason: Reason, out: Effect[]): void {
    out.push({ type: "toEndpoint", ep, verb: "bye", message: { reason } })
}
