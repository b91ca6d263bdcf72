/**
 * Joining and leaving: the steps that a join must pass, in order, each with its own refusal.
 *
 * Owns the decision and the joins that wait for the group server. Never changes sessions by itself (sessions.ts does).
 */

import type { CodecName } from "../../../media/codec.ts"
import { codecs, isCodecName } from "../../../media/codecs.ts"
import type { Join } from "../../../protocol/messages.ts"
import { dspUnitsOf } from "../media/dsp-units.ts"
import { isUnicast } from "./addresses.ts"
import { done, type Refusal, refuse } from "./answers.ts"
import { dspFree, dspShort } from "./dsp.ts"
import { type Attachment, coreLimits, type Effect, type Session, type State } from "./model.ts"
import { want } from "./registration.ts"
import { addLeg, peopleIn, removeLeg, unreachedHere } from "./sessions.ts"
import { hasTree } from "./tree.ts"

const packetTimeMs = 20

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
    const waitsFor = attempt(state, ep, attachment, request, nowMs, out)
    if (waitsFor === "tree") attachment.held = { join: request, sinceMs: nowMs }
    if (waitsFor === "group") {
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

/** A session has become known or has changed, or its tree has: those who wait for it may go on. */
export function resumeHeld(state: State, sid: string, nowMs: number, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        const { held } = attachment
        if (held?.join.sid !== sid) continue
        const waitsFor = attempt(state, ep, attachment, held.join, nowMs, out)
        if (waitsFor === undefined) dropHeld(state, attachment)
        else if (waitsFor === "tree" && held.want !== undefined) {
            state.requests.delete(held.want)
            held.want = undefined
        }
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

/** The session that they wait for is over. */
export function endHeld(state: State, sid: string, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        const { held } = attachment
        if (held?.join.sid !== sid) continue
        refuse(state, ep, held.join.id, over, out)
        dropHeld(state, attachment)
    }
}

export function expireHeld(state: State, nowMs: number, out: Effect[]): void {
    for (const [ep, attachment] of state.attachments) {
        const { held } = attachment
        if (!held || nowMs - held.sinceMs < coreLimits.holdJoinMs) continue
        const session = state.sessions.get(held.join.sid)
        const refusal: Refusal = session
            ? (whyNotMember(session, ep) ?? whyNoTree(session))
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

/** Decides, unless only the group server can or the tree is not there: then what it has to wait for. */
function attempt(
    state: State,
    ep: string,
    attachment: Attachment,
    request: Join,
    nowMs: number,
    out: Effect[],
): "group" | "tree" | undefined {
    const session = state.sessions.get(request.sid)
    // What we do not know, or know otherwise, may have changed a moment ago: the group server has the last word.
    if (!session) {
        if (!state.ended.has(request.sid)) return "group"
        refuse(state, ep, request.id, over, out)
        return undefined
    }
    if (whyNotMember(session, ep)) return "group"

    const others = attachment.sid !== undefined && attachment.sid !== request.sid ? attachment.sid : undefined
    const offered = codecsOffered(request)
    const freed = dspOfLeg(state, others ?? request.sid, ep)
    // The best codec that the units suffice for: a poorer sound is better than none.
    const had = session.legs.get(ep)?.codec
    const codec =
        offered.find(one => one === had) ??
        offered.find(one => dspShort(state, session, one) <= freed) ??
        offered[offered.length - 1]
    if (codec === undefined) {
        refuse(state, ep, request.id, { reason: "unsupported", what: "no codec in common", who: "maker" }, out)
        return undefined
    }
    const refusal = codec === had ? undefined : whyNot(state, session, codec, freed)
    if (refusal) {
        refuse(state, ep, request.id, refusal, out)
        return undefined
    }
    if (!session.legs.has(ep) && !hasTree(state, session)) return "tree"
    // An endpoint has one leg: whoever joins another session has left the first.
    if (others !== undefined) removeLeg(state, others, ep, undefined, nowMs, out)
    const { leg, key } = addLeg(state, session, ep, { ip: request.ip, port: request.port, codec }, nowMs, out)
    leg.toldPeople = peopleIn(state, request.sid)
    const { ip, mediaPort } = state.self
    const place = { ip, port: mediaPort, ssrc: leg.ssrc, pt: codecs[codec].payloadType, frameMs: packetTimeMs }
    done(state, ep, request.id, { sid: request.sid, ...place, people: leg.toldPeople, key }, out)
    return undefined
}

/** What the endpoint has and we know, the best first. */
function codecsOffered(request: Join): CodecName[] {
    return (request.codecs ?? "pcmu").split(",").filter(isCodecName)
}

function dspOfLeg(state: State, sid: string, ep: string): number {
    const leg = state.sessions.get(sid)?.legs.get(ep)
    return leg ? dspUnitsOf("leg", leg.codec) : 0
}

function whyNotMember(session: Session, ep: string): Refusal | undefined {
    const { state, members } = session.known
    if (!members.some(member => member.ep === ep))
        return { reason: "not-a-member", what: "not invited to this session", who: "organiser" }
    if (state === "scheduled") return { reason: "not-open", what: "it opens before its start", who: "you" }
    return undefined
}

/**
 * [claim 14] Media processing resources first: those of this server for one more, then what the reservation of the session's
 * tree has found short. `freed`: units of a leg of the endpoint's own that goes first.
 */
function whyNot(state: State, session: Session, codec: CodecName, freed: number): Refusal | undefined {
    const short = dspShort(state, session, codec) - freed
    if (short > 0) {
        const needed = dspUnitsOf("leg", codec)
        const what = `${short} DSP units short: ${needed} needed, ${dspFree(state) + freed} free`
        return { reason: "no-dsp", what, who: "operator" }
    }
    const unreached = unreachedHere(state, session.known)
    if (unreached) {
        const { reason, what, who, next } = unreached
        return { reason, what, who, ...(next === undefined ? {} : { next }) }
    }
    const own =
        session.outcome?.type === "refused" ? session.outcome.short.find(({ rs }) => rs === state.self.id) : undefined
    return own && { reason: own.reason, what: own.what, who: "operator" }
}

/** The tree did not come in time. */
function whyNoTree({ known, outcome }: Session): Refusal {
    const short = outcome?.type === "refused" ? outcome.short[0] : undefined
    if (short) return { reason: short.reason, what: short.what, who: "operator" }
    return { reason: "unavailable", what: `the way from ${known.source} is not reserved yet`, who: "operator" }
}

/** Forgets a join that waits, without an answer. */
export function dropHeld(state: State, attachment: Attachment): void {
    if (!attachment.held) return
    if (attachment.held.want !== undefined) state.requests.delete(attachment.held.want)
    attachment.held = undefined
}
