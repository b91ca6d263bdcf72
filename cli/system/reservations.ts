/**
 * What routing servers hold and carry for sessions, gathered from the control APIs of the running system. A server that does
 * not answer is told beside the others.
 */
import type { ControlClient, ControlResult } from "../../servers/routing/control/client.ts"
import type { Can, Media, Reservations } from "../../servers/routing/control/schemas.ts"
import { type Failure, type Outcome, success } from "../outcome.ts"
import type { Settings } from "../settings.ts"
import { type ControlledServer, controlOf, controlsOf, fromControl } from "./control.ts"

export type ServerReservations = { server: string } & Reservations
/** How the legs of a session are. */
export type ServerLegs = { server: string } & Pick<Media, "legs">

/** A server that has not answered, and why. */
export interface Silent {
    server: string
    failure: Failure
}

export interface Gathered<T = ServerReservations> {
    servers: T[]
    silent: Silent[]
}

/** Of all routing servers of the running system, or of one; with `sid` only what concerns that session. */
export async function gatherReservations(
    settings: Settings,
    wanted: { sid?: string; server?: string } = {},
): Promise<Outcome<Gathered>> {
    const servers = serversOf(settings, wanted.server)
    if (!servers.ok) return servers
    return success(await askAll(servers.value, client => client.reservations(wanted.sid)))
}

/** The legs of a session at all routing servers of the running system. */
export async function gatherLegs(settings: Settings, sid: string): Promise<Outcome<Gathered<ServerLegs>>> {
    const servers = controlsOf(settings)
    if (!servers.ok) return servers
    return success(await askAll(servers.value, client => client.media(sid)))
}

/** One that is dead does not keep the others from being shown; only when all are silent there is no answer. */
export function answered<T>(gathered: Outcome<Gathered<T>>): Outcome<Gathered<T>> {
    if (!gathered.ok) return gathered
    const { servers, silent } = gathered.value
    return servers.length === 0 && silent.length > 0 ? silent[0].failure : gathered
}

/** Each with the server that it is at. */
export function legsOf(servers: readonly ServerLegs[]) {
    return servers.flatMap(({ server, legs }) => legs.map(one => ({ server, ...one })))
}

/** Whether `source` could reserve a tree to these destinations now. */
export async function askSource(
    settings: Settings,
    source: string,
    { destinations, kbps }: { destinations: string[]; kbps: number },
): Promise<Outcome<Can>> {
    const client = controlOf(settings, source)
    return client.ok ? fromControl(source, await client.value.canReserve(destinations, kbps)) : client
}

function serversOf(settings: Settings, server: string | undefined): Outcome<ControlledServer[]> {
    if (server === undefined) return controlsOf(settings)
    const client = controlOf(settings, server)
    return client.ok ? success([{ id: server, client: client.value }]) : client
}

async function askAll<T>(
    servers: ControlledServer[],
    ask: (client: ControlClient) => Promise<ControlResult<T>>,
): Promise<Gathered<{ server: string } & T>> {
    const gathered: Gathered<{ server: string } & T> = { servers: [], silent: [] }
    const answers = await Promise.all(servers.map(({ client }) => ask(client)))
    answers.forEach((result, i) => {
        const server = servers[i].id
        const answer = fromControl(server, result)
        if (answer.ok) gathered.servers.push({ server, ...answer.value })
        else gathered.silent.push({ server, failure: answer })
    })
    return gathered
}
