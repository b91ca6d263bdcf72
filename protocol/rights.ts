/**
 * Who may publish and who may read which topic: one table. The embedded broker asks it for every publish, subscription
 * and delivery, and the access file for mosquitto is printed from it.
 *
 * Owns the rights, as MQTT topic filters. Never knows secrets or connections. What is not named here is refused.
 *
 * | party | writes | reads |
 * |---|---|---|
 * | endpoint and routing server `<id>` | own `out/#`, own `state` | own `in/#` |
 * | routing server `<id>`, more | `ep/+/in/rs/<id>/#` | `ep/+/out/rs/<id>/#`, all states |
 * | group server | `+/+/in/group/#`, `group/state` | `+/+/out/group/#`, the states of all others |
 */

import { groupStateTopic, topicRoot } from "./topics"

/** Kinds of parties that log in to the broker. Ids are unique across all of them. */
export type RightsKind = "ep" | "rs" | "group"

export interface Rights {
    /** Topic filters that the party may publish to. */
    write: string[]
    /** Topic filters that the party may subscribe to, or to any part of. */
    read: string[]
}

/** The rights of one party. For an endpoint `id` may be a placeholder such as "%u". */
export function rightsOf(kind: RightsKind, id: string): Rights {
    switch (kind) {
        case "ep":
            return {
                write: [`${topicRoot}/ep/${id}/out/#`, `${topicRoot}/ep/${id}/state`],
                read: [`${topicRoot}/ep/${id}/in/#`],
            }
        case "rs":
            return {
                write: [
                    `${topicRoot}/rs/${id}/out/#`,
                    `${topicRoot}/rs/${id}/state`,
                    `${topicRoot}/ep/+/in/rs/${id}/#`,
                ],
                read: [
                    `${topicRoot}/rs/${id}/in/#`,
                    `${topicRoot}/ep/+/out/rs/${id}/#`,
                    `${topicRoot}/ep/+/state`,
                    `${topicRoot}/rs/+/state`,
                    groupStateTopic,
                ],
            }
        case "group":
            return {
                write: [`${topicRoot}/+/+/in/group/#`, groupStateTopic],
                read: [`${topicRoot}/+/+/out/group/#`, `${topicRoot}/+/+/state`],
            }
    }
}

export function mayPublish(rights: Rights, topic: string): boolean {
    // A wildcard in a topic name is malformed, not a way to be covered by a filter.
    if (topic.indexOf("+") >= 0 || topic.indexOf("#") >= 0) return false
    return isCovered(rights.write, topic)
}

/** Whether a party may subscribe to `filter`: every topic that it matches must be readable. */
export function maySubscribe(rights: Rights, filter: string): boolean {
    return isCovered(rights.read, filter)
}

/** Whether a party may be handed a message on `topic`. */
export function mayRead(rights: Rights, topic: string): boolean {
    return isCovered(rights.read, topic)
}

/** Topics whose messages may be retained: the states, and nothing that asks for an action. */
export function mayRetain(topic: string): boolean {
    const parts = topic.split("/")
    return parts[parts.length - 1] === "state" && (parts.length === 5 || topic === groupStateTopic)
}

/** Whether a topic is addressed to or spoken by an appliance, whose messages are kept small. */
export function isApplianceTopic(topic: string): boolean {
    return topic.indexOf(`${topicRoot}/ep/`) === 0
}

function isCovered(allowed: string[], wanted: string): boolean {
    for (let i = 0; i < allowed.length; i++) {
        if (covers(allowed[i], wanted)) return true
    }
    return false
}

/** Whether every topic that the filter (or topic) `wanted` matches is matched by the filter `allowed` as well. */
export function covers(allowed: string, wanted: string): boolean {
    const have = allowed.split("/")
    const want = wanted.split("/")
    for (let i = 0; i < have.length; i++) {
        // "a/#" stands for "a" and all below it.
        if (have[i] === "#") return true
        if (i >= want.length || want[i] === "#") return false
        if (have[i] !== "+" && have[i] !== want[i]) return false
    }
    return have.length === want.length
}
