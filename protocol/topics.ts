/**
 * MQTT topics. One grammar for endpoints (`ep`) and routing servers (`rs`):
 *
 *     parley/v1/<kind>/<id>/in/group/<verb>      the group server writes, <id> reads
 *     parley/v1/<kind>/<id>/in/rs/<rs>/<verb>    routing server <rs> writes, <id> reads (endpoints only)
 *     parley/v1/<kind>/<id>/out/group/<verb>     <id> writes, the group server reads
 *     parley/v1/<kind>/<id>/out/rs/<rs>/<verb>   <id> writes, routing server <rs> reads (endpoints only)
 *     parley/v1/<kind>/<id>/state                <id> writes, retained, also its Will; everyone reads
 *     parley/v1/group/state                      the group server's birth and Will
 *
 * The sender stands in every topic, so that the broker's rights are also the proof of who speaks.
 */

import { partsOf } from "./text"

export const topicRoot = "parley/v1"
export const groupStateTopic = "parley/v1/group/state"

export type PartyKind = "ep" | "rs"

/** The one subscription of an endpoint or routing server for what is addressed to it. */
export function inboxFilter(kind: PartyKind, id: string): string {
    return `${topicRoot}/${kind}/${id}/in/#`
}

export function stateTopic(kind: PartyKind, id: string): string {
    return `${topicRoot}/${kind}/${id}/state`
}

export function fromGroupTopic(kind: PartyKind, id: string, verb: string): string {
    return `${topicRoot}/${kind}/${id}/in/group/${verb}`
}

export function toGroupTopic(kind: PartyKind, id: string, verb: string): string {
    return `${topicRoot}/${kind}/${id}/out/group/${verb}`
}

export function serverToEndpointTopic(endpoint: string, server: string, verb: string): string {
    return `${topicRoot}/ep/${endpoint}/in/rs/${server}/${verb}`
}

export function endpointToServerTopic(endpoint: string, server: string, verb: string): string {
    return `${topicRoot}/ep/${endpoint}/out/rs/${server}/${verb}`
}

export interface ParsedTopic {
    kind: PartyKind
    /** Whose topic it is. */
    id: string
    direction: "in" | "out" | "state"
    /** The other party: "group", "rs", or "" for a state. */
    peer: "group" | "rs" | ""
    /** The routing server when `peer` is "rs", else "". */
    server: string
    verb: string
}

/** The parts of a topic of an endpoint or routing server, or undefined when it is none. */
export function parseTopic(topic: string): ParsedTopic | undefined {
    const parts = partsOf(topic, "/")
    if (parts.length < 5 || parts[0] !== "parley" || parts[1] !== "v1") return undefined
    const kind = parts[2]
    if (kind !== "ep" && kind !== "rs") return undefined
    const id = parts[3]
    const direction = parts[4]
    if (direction === "state" && parts.length === 5) return { kind, id, direction, peer: "", server: "", verb: "" }
    if (direction !== "in" && direction !== "out") return undefined
    if (parts[5] === "group" && parts.length === 7)
        return { kind, id, direction, peer: "group", server: "", verb: parts[6] }
    if (parts[5] === "rs" && parts.length === 8 && kind === "ep")
        return { kind, id, direction, peer: "rs", server: parts[6], verb: parts[7] }
    return undefined
}
