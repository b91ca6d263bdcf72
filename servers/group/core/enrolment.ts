/**
 * What administrators change: endpoints, routing servers, groups, static neighbours and the neighbour policy. One namespace of identifiers,
 * because they are user names at the broker and what a booking calls.
 */

import { limits } from "../../../protocol/limits.ts"
import { maxRoutingServers } from "../../../protocol/servers.ts"
import { forgetAnswers } from "./answered.ts"
import { changed, end, serverLost, watchEmpty } from "./lifecycle.ts"
import type { Answer, Command, Context, NeighbourPair, Refusal, State } from "./model.ts"
import { putPolicy } from "./neighbour-policy.ts"
import { audit, done, problemWithId, problemWithName, refuse } from "./outcome.ts"
import { placeServer } from "./place.ts"
import { touchEndpoint } from "./touch.ts"

type Enrolment = Exclude<Command, { do: "book" | "cancel" | "record" }>

const maxEndpoints = 90_000
const maxGroups = 10_000
const maxPairs = 20_000

export function enrol(state: State, command: Enrolment, actor: string, context: Context): Answer {
    const answer = apply(state, command, actor, context)
    const { do: action, ...inputs } = command
    // The hash of a secret is no input that anybody needs to read.
    if ("secretHash" in inputs) inputs.secretHash = "(kept)"
    const subject = "id" in command ? command.id : ""
    audit(
        context,
        actor,
        action,
        subject,
        answer.ok ? "done" : answer.reason,
        answer.ok ? inputs : { ...inputs, ...answer },
    )
    return answer
}

function apply(state: State, command: Enrolment, actor: string, context: Context): Answer {
    switch (command.do) {
        case "enrolEndpoint":
            return enrolEndpoint(state, command, context)
        case "changeEndpoint": {
            const row = state.durable.endpoints.get(command.id)
            if (!row) return refuse("unknown-endpoint", `no endpoint ${command.id}`, "you")
            const { name = row.name, position } = command
            const problem = problemWithName(name, limits.nameBytes, "name")
            if (problem) return refuse("malformed", problem, "you")
            if (position !== undefined) row.position = position ?? undefined
            context.writes.push({ table: "endpoints", put: row })
            if (name !== row.name) {
                row.name = name
                touchAllWith(state, row.id)
            }
            return done({ id: row.id })
        }
        case "deleteEndpoint":
            return deleteEndpoint(state, command.id, actor, context)
        case "enrolServer": {
            const problem = problemWithNew(state, command.id)
            if (problem) return problem
            if (state.durable.servers.size >= maxRoutingServers)
                return refuse("too-many", `${maxRoutingServers} routing servers`, "operator")
            const { id, secretHash } = command
            const unknown = { ip: "", linkPort: 0, mediaPort: 0, fingerprint: "", dspUnits: 0, boot: 0 }
            const row = { id, secretHash, createdMs: context.nowMs, ...unknown, stored: {}, announced: {} }
            state.durable.servers.set(id, row)
            context.writes.push({ table: "servers", put: row })
            return done({ id })
        }
        case "placeServer":
            return placeServer(state, command.id, command.change, context)
        case "deleteServer": {
            if (!state.durable.servers.delete(command.id))
                return refuse("unknown-server", `no routing server ${command.id}`, "you")
            context.writes.push({ table: "servers", remove: command.id })
            state.live.servers.delete(command.id)
            state.live.distances.delete(command.id)
            serverLost(state, command.id, "its routing server was removed", context)
            putPairs(
                state,
                state.durable.neighbours.filter(({ a, b }) => a !== command.id && b !== command.id),
                context,
            )
            return done()
        }
        case "createGroup": {
            const problem = problemWithNew(state, command.id)
            if (problem) return problem
            const wrong = problemWithName(command.name, limits.nameBytes, "name")
            if (wrong) return refuse("malformed", wrong, "you")
            if (state.durable.groups.size >= maxGroups) return refuse("too-many", `${maxGroups} groups`, "operator")
            return putGroup(state, command.id, command.name, context.nowMs, command.members, context)
        }
        case "setMembers": {
            const group = state.durable.groups.get(command.id)
            if (!group) return refuse("unknown-group", `no group ${command.id}`, "you")
            return putGroup(state, group.id, group.name, group.createdMs, command.members, context)
        }
        case "deleteGroup":
            if (!state.durable.groups.delete(command.id))
                return refuse("unknown-group", `no group ${command.id}`, "you")
            context.writes.push({ table: "groups", remove: command.id })
            return done()
        case "putNeighbours":
            return putNeighbours(state, command.pairs, context)
        case "setNeighbours":
            return setNeighbours(state, command, context)
        case "putPolicy":
            return putPolicy(state, command, context)
    }
}

/** Identifiers of endpoints, routing servers and groups never collide. */
function problemWithNew(state: State, id: string): Refusal | undefined {
    const problem = problemWithId(id)
    if (problem) return refuse("malformed", problem, "you")
    const { endpoints, servers, groups } = state.durable
    const kind = endpoints.has(id) ? "endpoint" : servers.has(id) ? "routing server" : groups.has(id) ? "group" : ""
    return kind ? refuse("not-allowed", `${id} is the id of another ${kind} already`, "you") : undefined
}

function enrolEndpoint(
    state: State,
    command: { id: string; name: string; secretHash: string },
    context: Context,
): Answer {
    const { id, name, secretHash } = command
    const problem = problemWithNew(state, id)
    if (problem) return problem
    const wrong = problemWithName(name, limits.nameBytes, "name")
    if (wrong) return refuse("malformed", wrong, "you")
    if (state.durable.endpoints.size >= maxEndpoints) return refuse("too-many", `${maxEndpoints} endpoints`, "operator")
    const unknown = { board: "", firmware: "", boot: 0, history: [], position: undefined, crashes: [] }
    const row = { id, name, secretHash, createdMs: context.nowMs, ...unknown }
    state.durable.endpoints.set(id, row)
    context.writes.push({ table: "endpoints", put: row })
    return done({ id })
}

function deleteEndpoint(state: State, id: string, actor: string, context: Context): Answer {
    if (!state.durable.endpoints.has(id)) return refuse("unknown-endpoint", `no endpoint ${id}`, "you")
    for (const session of [...(state.sessionsOf.get(id) ?? [])]) {
        if (session.booker === id) {
            end(state, session, "ended", actor, "its organiser was removed", context)
            continue
        }
        const invitation = session.invitations.find(one => one.endpoint === id)
        if (!invitation) continue
        invitation.status = "declined"
        invitation.server = ""
        watchEmpty(state, session, context)
        changed(state, session, context)
    }
    for (const group of state.durable.groups.values()) {
        if (!group.members.includes(id)) continue
        group.members = group.members.filter(member => member !== id)
        context.writes.push({ table: "groups", put: group })
    }
    forgetAnswers(state, `ep:${id}`, context)
    state.durable.endpoints.delete(id)
    state.live.endpoints.delete(id)
    state.live.agendas.delete(id)
    context.writes.push({ table: "endpoints", remove: id })
    return done()
}

function putGroup(
    state: State,
    id: string,
    name: string,
    createdMs: number,
    wanted: string[],
    context: Context,
): Answer {
    const members = [...new Set(wanted)]
    if (members.length > limits.sessionMembers)
        return refuse("too-many", `${members.length} members, at most ${limits.sessionMembers}`, "you")
    const unknown = members.find(member => !state.durable.endpoints.has(member))
    if (unknown !== undefined) return refuse("unknown-endpoint", `no endpoint ${unknown}`, "you")
    const group = { id, name, createdMs, members }
    state.durable.groups.set(id, group)
    context.writes.push({ table: "groups", put: group })
    return done({ id })
}

function putNeighbours(state: State, pairs: NeighbourPair[], context: Context): Answer {
    if (pairs.length > maxPairs) return refuse("too-many", `${maxPairs} pairs`, "you")
    const unique = new Map<string, NeighbourPair>()
    for (const wanted of pairs) {
        const problem = problemWithPair(state, wanted)
        if (problem) return problem
        const pair = inOrder(wanted)
        unique.set(`${pair.a} ${pair.b}`, pair)
    }
    putPairs(state, [...unique.values()], context)
    return done({ pairs: unique.size })
}

/** One pair, whatever others are changing at the same time. */
function setNeighbours(state: State, wanted: NeighbourPair & { static: boolean }, context: Context): Answer {
    const problem = problemWithPair(state, wanted)
    if (problem) return problem
    const pair = inOrder(wanted)
    const { neighbours } = state.durable
    const others = neighbours.filter(({ a, b }) => a !== pair.a || b !== pair.b)
    if (others.length < neighbours.length === wanted.static) return done()
    if (!wanted.static) putPairs(state, others, context)
    else if (others.length >= maxPairs) return refuse("too-many", `${maxPairs} pairs`, "you")
    else putPairs(state, [...others, pair], context)
    return done()
}

function problemWithPair(state: State, { a, b }: NeighbourPair): Refusal | undefined {
    const unknown = [a, b].find(id => !state.durable.servers.has(id))
    if (unknown !== undefined) return refuse("unknown-server", `no routing server ${unknown}`, "you")
    return a === b ? refuse("malformed", `${a} cannot be its own neighbour`, "you") : undefined
}

function inOrder({ a, b }: NeighbourPair): NeighbourPair {
    return a < b ? { a, b } : { a: b, b: a }
}

function putPairs(state: State, pairs: NeighbourPair[], context: Context): void {
    state.durable.neighbours = pairs
    context.writes.push({ table: "neighbours", replace: pairs })
    state.touched.peers = true
}

/** A new name shows in the agendas of everybody that it has booked, and in its running sessions. */
function touchAllWith(state: State, endpoint: string): void {
    for (const session of state.sessionsOf.get(endpoint) ?? []) {
        if (session.state !== "scheduled") state.touched.sessions.add(session.id)
        for (const invitation of session.invitations) touchEndpoint(state, invitation.endpoint)
    }
}
