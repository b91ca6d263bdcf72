/**
 * Liveness of one neighbour link: is the routing server at the other end there, does it hear us too, and is it still
 * the same one?
 *
 * Owns the verdict and its reason. Never touches sockets, timers or the clock; the link feeds events.
 * [routing-spec 1] Down after three hellos missed in a row, and then TLS is closed too; TLS closed is down. A new boot
 * id means the peer has forgotten everything.
 */

import { linkLimits } from "../../../protocol/link.ts"

export type LivenessLimits = Pick<typeof linkLimits, "helloIntervalMs" | "missedHellos" | "graceMs" | "upWithinMs">

export type LinkDownReason =
    | "silent" // three hellos missed
    | "closed" // the TLS connection ended
    | "restarted" // the peer came back with another boot id
    | "replaced" // the peer opened a new connection in the same life
    | "unheard" // TLS works, datagrams do not
    | "malformed" // the peer sent what it must not
    | "flood" // the peer sends too much, or reads too little
    | "removed" // the peer is no neighbour any more, or another one now
    | "shutdown" // we stop

export type Liveness =
    | { state: "down" }
    | { state: "waiting"; bootId: number; sinceMs: number }
    | { state: "up"; bootId: number; lastHelloMs: number }

export type LivenessEvent =
    /** A TLS connection with the peer's `greet`. */
    | { type: "secured"; bootId: number }
    /** An authentic hello; `hearsMe` when the peer has heard ours under the same keys. */
    | { type: "hello"; bootId: number; hearsMe: boolean }
    | { type: "lost"; reason: LinkDownReason }
    | { type: "tick" }

export type LivenessEffect =
    | { type: "linkUp"; bootId: number }
    | { type: "linkDown"; reason: LinkDownReason; silentMs: number }
    /** Close the TLS connection. */
    | { type: "hangUp"; reason: LinkDownReason }

export interface Step<State, Effect> {
    state: State
    effects: Effect[]
}

/** The longest silence that still counts as alive. */
export function silenceLimitMs(limits: LivenessLimits): number {
    return limits.helloIntervalMs * limits.missedHellos + limits.graceMs
}

/** When the next tick can have something to say. */
export function dueMs(link: Liveness, limits: LivenessLimits): number | undefined {
    switch (link.state) {
        case "down":
            return undefined
        case "waiting":
            return link.sinceMs + limits.upWithinMs + 1
        case "up":
            return link.lastHelloMs + silenceLimitMs(limits) + 1
    }
}

export function step(
    link: Liveness,
    event: LivenessEvent,
    nowMs: number,
    limits: LivenessLimits = linkLimits,
): Step<Liveness, LivenessEffect> {
    switch (event.type) {
        case "secured":
            return onSecured(link, event.bootId, nowMs)
        case "hello":
            return onHello(link, event, nowMs)
        case "lost":
            return { state: { state: "down" }, effects: down(link, event.reason, nowMs) }
        case "tick":
            return onTick(link, nowMs, limits)
    }
}

function onSecured(link: Liveness, bootId: number, nowMs: number): Step<Liveness, LivenessEffect> {
    // The peer came back faster than we could miss it. Whoever holds state for its former life must see it go.
    const reason = link.state !== "down" && link.bootId === bootId ? "replaced" : "restarted"
    return { state: { state: "waiting", bootId, sinceMs: nowMs }, effects: down(link, reason, nowMs) }
}

function onHello(
    link: Liveness,
    hello: { bootId: number; hearsMe: boolean },
    nowMs: number,
): Step<Liveness, LivenessEffect> {
    if (link.state === "down") return { state: link, effects: [] }
    if (link.bootId !== hello.bootId)
        return {
            state: { state: "down" },
            effects: [...down(link, "restarted", nowMs), { type: "hangUp", reason: "restarted" }],
        }
    if (link.state === "up") return { state: { ...link, lastHelloMs: nowMs }, effects: [] }
    // One direction alone is no link: media and reservations go both ways.
    if (!hello.hearsMe) return { state: link, effects: [] }
    return {
        state: { state: "up", bootId: hello.bootId, lastHelloMs: nowMs },
        effects: [{ type: "linkUp", bootId: hello.bootId }],
    }
}

function onTick(link: Liveness, nowMs: number, limits: LivenessLimits): Step<Liveness, LivenessEffect> {
    const due = dueMs(link, limits)
    if (due === undefined || nowMs < due) return { state: link, effects: [] }
    const reason = link.state === "up" ? "silent" : "unheard"
    return {
        state: { state: "down" },
        effects: [...down(link, reason, nowMs), { type: "hangUp", reason }],
    }
}

function down(link: Liveness, reason: LinkDownReason, nowMs: number): LivenessEffect[] {
    if (link.state !== "up") return []
    return [{ type: "linkDown", reason, silentMs: nowMs - link.lastHelloMs }]
}
