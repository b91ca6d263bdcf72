/**
 * Plain legs: standard RTP senders and receivers that an operator lets into a session at this server. They have no appliance
 * and no keys, are no members, and end with the session.
 *
 * Owns their admission and what is held for them. Whoever asks has shown that it is an operator (control/).
 */

import type { CodecName } from "../../../media/codec.ts"
import { codecs } from "../../../media/codecs.ts"
import { dspUnitsOf } from "../media/dsp-units.ts"
import type { PlainSource } from "../media/interface.ts"
import { isUnicast } from "./addresses.ts"
import type { Refusal } from "./answers.ts"
import { countLegs, dspFree, dspShort } from "./dsp.ts"
import { coreLimits, type Effect, type PlainLeg, type Session, type State } from "./model.ts"
import { freshSsrc } from "./ssrc.ts"
import { hasTree } from "./tree.ts"

export interface PlainWish {
    sid: string
    /** By which it is shown and taken out; unique in the session at this server. */
    name: string
    codec: CodecName
    /** Where its packets come from; see `PlainSource`. */
    from: PlainSource
    /** Where it is sent to; without: where its packets come from. */
    to?: { ip: string; port: number }
}

export interface PlainRefusal extends Refusal {
    reason: "malformed" | "unknown-session" | "ended" | "busy" | "too-many" | "no-dsp" | "unavailable"
}

/** What media and neighbours call it: no identifier of an endpoint has a colon. */
const prefix = "plain:"

export function plainEndpoint(name: string): string {
    return prefix + name
}

export function plainName(endpoint: string): string | undefined {
    return endpoint.startsWith(prefix) ? endpoint.slice(prefix.length) : undefined
}

/** Why it cannot be let in now, or undefined. */
export function whyNotPlain(state: State, wish: PlainWish): PlainRefusal | undefined {
    const { sid, name, codec, from, to = from } = wish
    const session = state.sessions.get(sid)
    const refuse = (reason: PlainRefusal["reason"], what: string, who: "you" | "operator" = "you") => {
        return { reason, what, who }
    }
    if (!session)
        return refuse(
            state.ended.has(sid) ? "ended" : "unknown-session",
            `session ${sid} has no members at ${state.self.id}`,
        )
    if (session.plain.has(name)) return refuse("busy", `there is a plain leg "${name}" already`)
    if (session.plain.size >= coreLimits.plainLegs)
        return refuse("too-many", `at most ${coreLimits.plainLegs} plain legs in a session`)
    for (const { ip } of [from, to]) if (!isUnicast(ip)) return refuse("malformed", `${ip} is no host's address`)
    const other = holderOf(state, from)
    if (other !== undefined) return refuse("busy", `${from.ip}:${from.port} is the plain leg "${other}" already`)
    if (!hasTree(state, session))
        return refuse("unavailable", `the way from ${session.known.source} is not reserved yet`, "operator")
    const short = dspShort(state, session, codec)
    if (short <= 0) return undefined
    const needed = dspUnitsOf("leg", codec)
    return refuse("no-dsp", `${short} DSP units short: ${needed} needed, ${dspFree(state)} free`, "operator")
}

/** The name of the leg whose packets come from there. */
function holderOf(state: State, { ip, port }: PlainSource): string | undefined {
    if (port === 0) return undefined
    for (const { plain } of state.sessions.values())
        for (const [name, { from }] of plain) if (from.ip === ip && from.port === port) return name
    return undefined
}

/** After `whyNotPlain` has found nothing. */
export function addPlain(state: State, wish: PlainWish, out: Effect[]): void {
    const { sid, name, codec, from, to } = wish
    const session = state.sessions.get(sid)
    if (!session || whyNotPlain(state, wish)) return
    const payloadType = from.payloadType ?? codecs[codec].payloadType
    const leg: PlainLeg = { ssrc: freshSsrc(state), codec, from: { ...from, payloadType }, ...(to && { to }) }
    session.plain.set(name, leg)
    changed(state, session)
    out.push({ type: "addPlainLeg", sid, name, leg })
    out.push({ type: "log", level: "info", what: "plain leg", details: { sid, name, codec, from, to } })
}

/** Whether there was one. */
export function removePlain(state: State, sid: string, name: string, why: string, out: Effect[]): boolean {
    const session = state.sessions.get(sid)
    const leg = session?.plain.get(name)
    if (!session || !leg) return false
    session.plain.delete(name)
    state.ssrcs.delete(leg.ssrc)
    changed(state, session)
    out.push({ type: "removeLeg", ssrc: leg.ssrc })
    out.push({ type: "log", level: "info", what: "plain leg ended", details: { sid, name, why } })
    return true
}

export function endPlain(state: State, { known, plain }: Session, why: string, out: Effect[]): void {
    for (const name of [...plain.keys()]) removePlain(state, known.sid, name, why, out)
}

function changed(state: State, session: Session): void {
    countLegs(state, session)
    state.touched.add(session.known.sid)
}
