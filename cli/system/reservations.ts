/**
 * What routing servers hold for sessions, asked of their control APIs: `GET /v1/reservations` and the dry run
 * `POST /v1/reservations/can`. Answers are checked before anything is made of them.
 */
import { readFileSync } from "node:fs"
import { type Static, type TSchema, Type } from "typebox"
import { Check } from "typebox/value"
import type { ControlResult } from "../../servers/routing/control/client.ts"
import { type Failure, failure, type Outcome, success, usage } from "../outcome.ts"
import type { Settings } from "../settings.ts"
import { fromControl, openControl, routingParts } from "./control.ts"
import { findRun, type RunningPart } from "./run-file.ts"

const timeoutMs = 10_000

const Held = Type.Object({
    sid: Type.String(),
    epoch: Type.Integer(),
    source: Type.String(),
    role: Type.Enum(["source", "destination", "transit"]),
    state: Type.Enum(["collecting", "reserving", "committed", "active"]),
    upstream: Type.Optional(Type.String()),
    children: Type.Array(Type.String()),
    kbps: Type.Number(),
    usageCount: Type.Integer(),
})
const Ledger = Type.Object({
    links: Type.Array(Type.Object({ peer: Type.String(), capacityKbps: Type.Number(), heldKbps: Type.Number() })),
    dspUnits: Type.Integer(),
    dspHeld: Type.Integer(),
})
const Reservations = Type.Object({ reservations: Type.Array(Held), ledger: Ledger })
const Legs = Type.Object({
    legs: Type.Array(
        Type.Object({
            ...{ endpoint: Type.String(), codec: Type.String(), muted: Type.Boolean(), plain: Type.Boolean() },
            ...{ lossInPercent: Type.Number(), lossOutPercent: Type.Number(), jitterMs: Type.Number() },
            ...{ delayMs: Type.Number(), roundTripMs: Type.Number(), opinion: Type.Number() },
        }),
    ),
})
const Can = Type.Object({
    fits: Type.Boolean(),
    tree: Type.Array(Type.Object({ server: Type.String(), parent: Type.String() })),
    short: Type.Array(
        Type.Object({
            server: Type.String(),
            reason: Type.String(),
            what: Type.String(),
            at: Type.String(),
            to: Type.Optional(Type.String()),
        }),
    ),
})

/** One attempt that a server has a part in. */
export type Held = Static<typeof Held>
export type Ledger = Static<typeof Ledger>
export type Can = Static<typeof Can>
/** How the legs of a session are. */
export type ServerLegs = { server: string } & Static<typeof Legs>
export type ServerReservations = { server: string } & Static<typeof Reservations>

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
    const parts = partsOf(settings, wanted.server)
    if (!parts.ok) return parts
    const path =
        wanted.sid === undefined ? "/v1/reservations" : `/v1/reservations?sid=${encodeURIComponent(wanted.sid)}`
    const answers = await Promise.all(
        parts.value.map(async part => ({ server: part.name, answer: await ask(part, "GET", path, Reservations) })),
    )
    const gathered: Gathered = { servers: [], silent: [] }
    for (const { server, answer } of answers)
        if (answer.ok) gathered.servers.push({ server, ...answer.value })
        else gathered.silent.push({ server, failure: answer })
    return success(gathered)
}

/** The legs of a session at all routing servers of the running system that answer. */
export async function gatherLegs(settings: Settings, sid: string): Promise<ServerLegs[]> {
    const parts = partsOf(settings, undefined)
    if (!parts.ok) return []
    const path = `/v1/media?sid=${encodeURIComponent(sid)}`
    const answers = await Promise.all(
        parts.value.map(async part => ({ server: part.name, answer: await ask(part, "GET", path, Legs) })),
    )
    // What is held says already who is silent.
    return answers.flatMap(({ server, answer }) => (answer.ok ? [{ server, legs: answer.value.legs }] : []))
}

/** Whether `source` could reserve a tree to these destinations now. */
export async function askSource(
    settings: Settings,
    source: string,
    wish: { destinations: string[]; kbps: number },
): Promise<Outcome<Can>> {
    const parts = partsOf(settings, source)
    return parts.ok ? ask(parts.value[0], "POST", "/v1/reservations/can", Can, wish) : parts
}

function partsOf(settings: Settings, server: string | undefined): Outcome<RunningPart[]> {
    const run = findRun(settings.stateFolder)
    if (!run.ok) return run
    const parts = routingParts(run.value)
    const asked = parts.filter(part => server === undefined || part.name === server)
    if (asked.length > 0 || server === undefined) return success(asked)
    return usage(`there is no routing server "${server}" here; there are ${parts.map(each => each.name).join(", ")}`)
}

async function ask<T extends TSchema>(
    part: RunningPart,
    method: string,
    path: string,
    schema: T,
    body?: unknown,
): Promise<Outcome<Static<T>>> {
    const place = openControl(part, (url, tokenFile) => ({ url, token: readFileSync(tokenFile, "utf8").trim() }))
    if (!place.ok) return place
    const answer = fromControl(
        part.name,
        await call(place.value.url.replace(/\/$/, ""), place.value.token, method, path, body),
    )
    if (!answer.ok || Check(schema, answer.value)) return answer as Outcome<Static<T>>
    return failure("failed", "unexpected", `${part.name} answers otherwise than this command expects`, {
        who: "operator",
        next: "use a command and servers of the same version",
    })
}

async function call(
    url: string,
    token: string,
    method: string,
    path: string,
    body: unknown,
): Promise<ControlResult<unknown>> {
    try {
        const response = await fetch(url + path, {
            method,
            headers: {
                authorization: `Bearer ${token}`,
                ...(body !== undefined && { "content-type": "application/json" }),
            },
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: AbortSignal.timeout(timeoutMs),
        })
        const text = await response.text()
        if (response.ok) return { ok: true, value: jsonOf(text) }
        const { code, what, who } = (jsonOf(text) ?? {}) as Record<string, unknown>
        const known = typeof code === "string" && typeof what === "string" && typeof who === "string"
        const problem = known
            ? { code, what, who }
            : { code: "failed", what: `status ${response.status}`, who: "maker" }
        return { ok: false, status: response.status, ...problem } as ControlResult<unknown>
    } catch (error) {
        const { message, cause } = error as Error
        const what = `${url}: ${(cause as Error | undefined)?.message || message}`
        return { ok: false, code: "unreachable", what, who: "operator", status: 0 }
    }
}

function jsonOf(text: string): unknown {
    try {
        return JSON.parse(text)
    } catch {
        return undefined
    }
}
