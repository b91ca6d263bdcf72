/**
 * Joining and leaving: the steps that a join must pass, in order, each with its own refusal.
 *
 * Owns the decision and the joins that wait for the group server. Never changes sessions by itself (sessions.ts does).
 */

import type { Join } from "../../../protocol/messages.ts"
import { ipv4ToInt } from "../../../protocol/text.ts"
import { done, type Refusal, refuse } from "./answers.ts"
import { dspFree, dspNeed } from "./dsp.ts"
import { type Attachment, coreLimits, type Effect, type Session, type State } from "./model.ts"
import { want } from "./registration.ts"
import { addLeg, peopleIn, removeLeg } from "./sessions.ts"

const packetTimeMs = 20
const pcmu = 0

export function join(state: State, ep: string, request: Join, nowMs: number, out: Effect[]) {
    const attachment = state.attachments.get(ep)
    if (!attachment || attachment.lostMs !== undefined)
        return refuse(state, ep, request.id, { reason: "not-attached", what: "attach first", who: "you" }, out)
    // The same request again, while the group server is being asked.
    if (attachment.held?.join.id === request.id) return
    cancelHeld(state, ep, attachment, out)
    if (state.draining)
        return refuse(state, ep, request.id, { reason: "draining", what: "it is being stopped", who: "operator" }, out)
    if (!isUnicast(request.ip))
        return refuse(state, ep, request.id, { reason: "malformed", what: "ip: no address", who: "maker" }, out)
    const asks = attempt(state, ep, attachment, request, nowMs, out)
    if (asks) {
        const id = want(state, request.sid, ep, nowMs, out)
        attachment.held = { join: request, sinceMs: nowMs, want: id }
    }
}

export function leave(state: State, ep: string, sid: string, re: number, nowMs: number, out: Effect[]): void {
    const attachment = state.attachments.get(ep)
    if (attachment?.held?.join.sid === sid) cancelHeld(state, ep, attachment, out)
    removeLeg(state, sid, ep, undefined, nowMs, out)
    done(state, ep, re, {}, out)
}

/** A session has become known or has changed: those who wait for it may go on. */
export function resumeHeld(state: State, sid: string, nowMs: number, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        const { held } = attachment
        if (held?.join.sid !== sid) continue
        if (!attempt(state, ep, attachment, held.join, nowMs, out)) dropHeld(state, attachment)
    }
}

/** The group server does not let the endpoint in. */
export function refuseHeld(state: State, wantId: number, refusal: Refusal, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        if (attachment.held?.want !== wantId) continue
        refuse(state, ep, attachment.held.join.id, refusal, out)
        attachment.held = undefined
    }
}

export function expireHeld(state: State, nowMs: number, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        const { held } = attachment
        if (!held || nowMs - held.sinceMs < coreLimits.holdJoinMs) continue
        const session = state.sessions.get(held.join.sid)
        const refusal: Refusal = session
            ? (whyNotMember(session, ep) ?? notTold)
            : state.ended.has(held.join.sid)
              ? over
              : notTold
        refuse(state, ep, held.join.id, refusal, out)
        dropHeld(state, attachment)
    }
}

/** Ends the wait of a join because something else has come first. */
export function cancelHeld(state: State, ep: string, attachment: Attachment, out: Effect[]): void {
    if (!attachment.held) return
    const refusal: Refusal = { reason: "unavailable", what: "something else came first", who: "you" }
    refuse(state, ep, attachment.held.join.id, refusal, out)
    dropHeld(state, attachment)
}

const over: Refusal = { reason: "ended", what: "the session is over", who: "nobody" }
const notTold: Refusal = { reason: "unavailable", what: "the group server does not answer", who: "operator" }

/** Decides, unless only the group server can: then true. */
function attempt(
    state: State,
    ep: string,
    attachment: Attachment,
    request: Join,
    nowMs: number,
    out: Effect[],
): boolean {
    const session = state.sessions.get(request.sid)
    // What we do not know, or know otherwise, may have changed a moment ago: the group server has the last word.
    if (!session) {
        if (!state.ended.has(request.sid)) return true
        refuse(state, ep, request.id, over, out)
        return false
    }
    if (whyNotMember(session, ep)) return true

    const others = attachment.sid !== undefined && attachment.sid !== request.sid ? attachment.sid : undefined
    const refusal = session.legs.has(ep) ? undefined : whyNot(state, session, others !== undefined)
    if (refusal) {
        refuse(state, ep, request.id, refusal, out)
        return false
    }
    // An endpoint has one leg: whoever joins another session has left the first.
    if (others !== undefined) removeLeg(state, others, ep, undefined, nowMs, out)
    const leg = addLeg(state, session, ep, request.ip, request.port, nowMs, out)
    leg.toldPeople = peopleIn(state, request.sid)
    const { ip, mediaPort } = state.self
    const place = { ip, port: mediaPort, ssrc: leg.ssrc, pt: pcmu, frameMs: packetTimeMs }
    done(state, ep, request.id, { sid: request.sid, ...place, people: leg.toldPeople }, out)
    return false
}

function whyNotMember(session: Session, ep: string): Refusal | undefined {
    const { state, members } = session.known
    if (!members.some(member => member.ep === ep))
        return { reason: "not-a-member", what: "not invited to this session", who: "organiser" }
    if (state === "scheduled") return { reason: "not-open", what: "it opens before its start", who: "you" }
    return undefined
}

/** [claim 14] Media processing resources first, then the path. `frees`: a leg of the endpoint's own goes first. */
function whyNot(state: State, session: Session, frees: boolean): Refusal | undefined {
    const { sid, source } = session.known
    const need = dspNeed(state, sid)
    const free = dspFree(state) + (frees ? 1 : 0)
    if (need > free) {
        const what = `${need - free} DSP units short: ${need} needed, ${free} free`
        return { reason: "no-dsp", what, who: "operator" }
    }
    if (source !== state.self.id && !state.tree.linksUp.has(source))
        return { reason: "no-path", what: `no link to ${source}`, who: "operator" }
    return undefined
}

/** Forgets a join that waits, without an answer. */
export function dropHeld(state: State, attachment: Attachment): void {
    if (!attachment.held) return
    state.requests.delete(attachment.held.want)
    attachment.held = undefined
}

/** An address that one machine can have: media must not be sent to a network. */
function isUnicast(ip: string): boolean {
    const value = ipv4ToInt(ip)
    return value >= 0x01000000 && value < 0xe0000000
}
