/**
 * What comes in over MQTT, from bytes to an event of the core, or to the refusal that its sender gets, or to nothing.
 *
 * Owns the validation of every message against the shapes of `protocol/`. Pure: no connection, no state.
 */

import { limits } from "../../protocol/limits.ts"
import {
    attachShape,
    detachShape,
    doneShape,
    endpointStateShape,
    joinShape,
    refusedShape,
    sessionRequestShape,
} from "../../protocol/messages.ts"
import {
    endShape,
    groupStateShape,
    peersShape,
    policyShape,
    serverHelloDoneShape,
    serverSessionShape,
} from "../../protocol/servers.ts"
import { optional, problemWith, record, type Shape } from "../../protocol/shape.ts"
import { isIdentifier } from "../../protocol/text.ts"
import { groupStateTopic, parseTopic } from "../../protocol/topics.ts"
import type { EndpointRequest, Event, GroupMessage } from "./core/model.ts"

export type Inbound =
    | { kind: "event"; event: Event }
    /** To be told to the endpoint. */
    | { kind: "refuse"; ep: string; re: number; reason: "malformed" | "unsupported"; what: string }
    | { kind: "drop"; what: string }

const requestShapes: Record<EndpointRequest["verb"], Shape<unknown>> = {
    attach: attachShape,
    detach: detachShape,
    join: joinShape,
    leave: sessionRequestShape,
}

const groupShapes: Record<GroupMessage["verb"], Shape<unknown>> = {
    // The answer to a hello carries the time, the others do not.
    done: record({ re: doneShape.of.re, nowMs: optional(serverHelloDoneShape.of.nowMs) }),
    refused: refusedShape,
    peers: peersShape,
    policy: policyShape,
    session: serverSessionShape,
    end: endShape,
}

export function readInbound(self: string, topic: string, payload: Buffer): Inbound {
    if (topic === groupStateTopic) return readState(payload, groupStateShape, state => ({ type: "groupState", state }))
    const parsed = parseTopic(topic)
    if (!parsed || !isIdentifier(parsed.id)) return drop("not a topic of ours")
    const { id, verb } = parsed
    if (parsed.direction === "state") {
        // An empty retained message is how a state is taken back: nobody is there.
        if (payload.length === 0) return drop("no state")
        return readState(payload, endpointStateShape, state => ({ type: "endpointState", ep: id, state }))
    }
    if (parsed.kind === "rs" && parsed.direction === "in" && id === self) return readGroup(verb, payload)
    if (parsed.kind === "ep" && parsed.direction === "out" && parsed.server === self)
        return readRequest(id, verb, payload)
    return drop("not for us")
}

function readGroup(verb: string, payload: Buffer): Inbound {
    if (!Object.hasOwn(groupShapes, verb)) return drop(`unknown message "${verb}" of the group server`)
    const message = parse(payload, limits.brokerMessageBytes)
    const problem = problemWith(groupShapes[verb as GroupMessage["verb"]], message)
    if (problem) return drop(`"${verb}" of the group server: ${problem}`)
    return { kind: "event", event: { type: "fromGroup", content: { verb, message } as GroupMessage } }
}

function readRequest(ep: string, verb: string, payload: Buffer): Inbound {
    const message = parse(payload, limits.brokerApplianceBytes)
    const id = (message as { id?: unknown } | undefined)?.id
    // Without its id nobody would know which request was refused.
    if (problemWith(detachShape, message)) return drop(`"${verb}" of ${ep} without a request id`)
    const re = id as number
    if (!Object.hasOwn(requestShapes, verb))
        return { kind: "refuse", ep, re, reason: "unsupported", what: "no such request" }
    const problem = problemWith(requestShapes[verb as EndpointRequest["verb"]], message)
    if (problem) return { kind: "refuse", ep, re, reason: "malformed", what: problem }
    return { kind: "event", event: { type: "fromEndpoint", ep, content: { verb, message } as EndpointRequest } }
}

function readState<T>(payload: Buffer, shape: Shape<T>, event: (state: T) => Event): Inbound {
    const state = parse(payload, limits.brokerMessageBytes)
    const problem = problemWith(shape, state, "state")
    return problem ? drop(problem) : { kind: "event", event: event(state as T) }
}

function parse(payload: Buffer, most: number): unknown {
    if (payload.length > most) return undefined
    try {
        return JSON.parse(payload.toString("utf8"))
    } catch {
        return undefined
    }
}

function drop(what: string): Inbound {
    return { kind: "drop", what }
}
