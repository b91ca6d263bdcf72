/**
 * Makes a fresh system known to itself: routing servers and boards are enrolled at the group server, their secrets kept
 * in the state folder, all rooms put into one group, all routing servers made static neighbours of each other [claim 7].
 * On later starts it only adds what is missing. Never changes what an operator has changed since.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"
import type { GroupClient, Result } from "../../servers/group/client.ts"
import type { Layout } from "../layout.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { clientFor, fromGroup } from "./group.ts"
import { type Folders, secretFile } from "./plan.ts"

export const allRooms = { id: "all-rooms", name: "All rooms" }

/** The secrets of the boards, by id. */
export async function enrolAll(layout: Layout, folders: Folders): Promise<Outcome<Record<string, string>>> {
    mkdirSync(folders.secrets, { recursive: true, mode: 0o700 })
    const client = clientFor(`http://${layout.group.host}:${layout.group.port}`, folders.adminToken)
    if (!client.ok) return client
    const group = client.value

    const servers = fromGroup(await group.all(cursor => group.listRoutingServers({ cursor })))
    if (!servers.ok) return servers
    for (const { id } of layout.servers) {
        const known = servers.value.find(server => server.id === id)
        const secret = await secretFor(folders, id, known, {
            enrol: () => group.enrolRoutingServer(id),
            remove: () => group.deleteRoutingServer(id),
        })
        if (!secret.ok) return secret
    }
    const endpoints = fromGroup(await group.all(cursor => group.listEndpoints({ cursor })))
    if (!endpoints.ok) return endpoints
    const secrets: Record<string, string> = {}
    for (const { id, name } of layout.boards) {
        const known = endpoints.value.find(endpoint => endpoint.id === id)
        const secret = await secretFor(folders, id, known, {
            enrol: () => group.enrolEndpoint(id, name),
            remove: () => group.deleteEndpoint(id),
        })
        if (!secret.ok) return secret
        secrets[id] = secret.value
    }
    const neighbours = await joinNeighbours(group, layout)
    if (!neighbours.ok) return neighbours
    const rooms = await createAllRooms(group, layout)
    return rooms.ok ? success(secrets) : rooms
}

interface Enrolment {
    enrol(): Promise<Result<{ secret: string }>>
    remove(): Promise<Result<undefined>>
}

async function secretFor(
    folders: Folders,
    id: string,
    known: { boot: number } | undefined,
    enrolment: Enrolment,
): Promise<Outcome<string>> {
    const path = secretFile(folders, id)
    if (known && existsSync(path)) return success(readFileSync(path, "utf8").trim())
    if (known && known.boot > 0)
        return failure("failed", "secret-lost", `${id} is enrolled, but its secret is not in ${path}`, {
            who: "operator",
            next: `put the file back, or begin anew with another --state folder`,
        })
    // Enrolled and never seen: an earlier start was cut off between the enrolment and the writing of the secret.
    if (known) {
        const removed = fromGroup(await enrolment.remove())
        if (!removed.ok) return removed
    }
    const enrolled = fromGroup(await enrolment.enrol())
    if (!enrolled.ok) return enrolled
    writeFileSync(`${path}.tmp`, `${enrolled.value.secret}\n`, { mode: 0o600 })
    renameSync(`${path}.tmp`, path)
    return success(enrolled.value.secret)
}

const registeredWithinMs = 5000
const lookMs = 50

/**
 * A board that is powered before its nearest server is registered attaches to another. Waits for them, and no longer than that: boards
 * do without one that does not come.
 */
export async function allRegistered(layout: Layout, folders: Folders): Promise<Outcome<undefined>> {
    const client = clientFor(`http://${layout.group.host}:${layout.group.port}`, folders.adminToken)
    if (!client.ok) return client
    const untilMs = performance.now() + registeredWithinMs
    const isMissing = async () => {
        const known = await client.value.all(cursor => client.value.listRoutingServers({ cursor }))
        return !known.ok || layout.servers.some(({ id }) => !known.value.some(one => one.id === id && one.online))
    }
    while (performance.now() < untilMs && (await isMissing())) await wait(lookMs)
    return success(undefined)
}

async function joinNeighbours(group: GroupClient, layout: Layout): Promise<Outcome<undefined>> {
    const present = fromGroup(await group.getStaticNeighbours())
    if (!present.ok) return present
    const pairs = [...present.value.pairs]
    const ids = layout.servers.map(server => server.id)
    for (const [i, a] of ids.entries())
        for (const b of ids.slice(i + 1))
            if (!pairs.some(pair => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a)))
                pairs.push({ a, b })
    if (pairs.length === present.value.pairs.length) return success(undefined)
    const put = fromGroup(await group.putStaticNeighbours(pairs))
    return put.ok ? success(undefined) : put
}

async function createAllRooms(group: GroupClient, layout: Layout): Promise<Outcome<undefined>> {
    const groups = fromGroup(await group.all(cursor => group.listGroups({ cursor })))
    if (!groups.ok) return groups
    const present = groups.value.find(one => one.id === allRooms.id)
    const ids = layout.boards.map(board => board.id)
    const missing = ids.filter(id => !present?.members.includes(id))
    if (present && missing.length === 0) return success(undefined)
    const members = [...(present?.members ?? []), ...missing]
    const made = present
        ? await group.putGroupMembers(allRooms.id, members)
        : await group.createGroup(allRooms.id, allRooms.name, members)
    const outcome = fromGroup(made)
    return outcome.ok ? success(undefined) : outcome
}
