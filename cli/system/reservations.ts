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

export interface Gathered {
    servers: ServerReservations[]
    silent: Silent[]
}

/** Of all routing servers of the running system, or of one; with `sid` only what concerns that session. */
export async function gatherReservations(
    settings: Settings,
    wanted: { sid?: string; server?: string } = {},
): Promise<Outcome<Gathered>> {
    const servers = serversOf(settings, wanted.server)
    if (!servers.ok) return servers
    const gathered: Gathered = { servers: [], silent: [] }
    for (const { server, answer } of await askAll(servers.value, client => client.reservations(wanted.sid)))
        if (answer.ok) gathered.servers.push({ server, ...answer.value })
        else gathered.silent.push({ server, failure: answer })
    return success(gathered)
}

/** The legs of a session at all routing servers of the running system that answer. */
export async function gatherLegs(settings: Settings, sid: string): Promise<ServerLegs[]> {
    const servers = serversOf(settings, undefined)
    if (!servers.ok) return []
    const answers = await askAll(servers.value, client => client.media(sid))
    // What is held says already who is silent.
    return answers.flatMap(({ server, answer }) => (answer.ok ? [{ server, legs: answer.value.legs }] : []))
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

function askAll<T>(servers: ControlledServer[], ask: (client: ControlClient) => Promise<ControlResult<T>>) {
    return Promise.all(
        servers.map(async ({ id, client }) => ({ server: id, answer: fromControl(id, await ask(client)) })),
    )
}
