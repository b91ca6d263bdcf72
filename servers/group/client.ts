/**
 * The HTTP API of the group server for the CLI and for tests: one function per operation, typed by the schemas of the API.
 * Refusals come back as values; only a server that cannot be reached or does not speak the API makes another kind of
 * problem, `unreachable`.
 */

import type { RecordingFormat } from "../../protocol/servers.ts"
import type { ProblemBody } from "./http/problems.ts"
import type * as schemas from "./http/schemas.ts"
import type { Role } from "./http/tokens.ts"

export type Refused = Pick<ProblemBody, "code" | "what" | "who" | "next" | "status">
export type Unreachable = { code: "unreachable"; what: string; who: "operator"; status: 0; next?: undefined }
export type Result<T> = { ok: true; value: T } | { ok: false; problem: Refused | Unreachable }
export interface Page<T> {
    items: T[]
    next?: string
}

export interface BookOptions {
    by?: string
    with: string
    /** Unix seconds; absent: now. */
    start?: number
    minutes: number
    title?: string
}

export interface SessionListOptions {
    state?: "scheduled" | "opening" | "open" | "ended" | "live"
    endpoint?: string
    from?: number
    to?: number
    limit?: number
    cursor?: string
}

export interface AuditOptions {
    subject?: string
    actor?: string
    action?: string
    /** A session: its booking and all that happened to it. */
    session?: string
    limit?: number
    cursor?: string
}

type Query = Record<string, string | number | undefined>

const timeoutMs = 10_000
/** Pages that `all` follows at most. */
const maxPages = 1000

export class GroupClient {
    private readonly url: string
    private readonly token: string

    constructor(url: string, token: string) {
        this.url = url.replace(/\/$/, "")
        this.token = token
    }

    listEndpoints(query: { limit?: number; cursor?: string } = {}) {
        return this.get<Page<schemas.Endpoint>>("/v1/endpoints", query)
    }
    getEndpoint(id: string) {
        return this.get<schemas.Endpoint>(`/v1/endpoints/${encodeURIComponent(id)}`)
    }
    enrolEndpoint(id: string, name: string, key?: string) {
        return this.call<schemas.EnrolledEndpoint>("POST", "/v1/endpoints", { id, name }, key)
    }
    changeEndpoint(id: string, change: schemas.ChangeEndpoint) {
        return this.call<schemas.Endpoint>("PATCH", `/v1/endpoints/${encodeURIComponent(id)}`, change)
    }
    deleteEndpoint(id: string) {
        return this.call<undefined>("DELETE", `/v1/endpoints/${encodeURIComponent(id)}`)
    }

    listRoutingServers(query: { limit?: number; cursor?: string } = {}) {
        return this.get<Page<schemas.RoutingServer>>("/v1/routing-servers", query)
    }
    enrolRoutingServer(id: string, key?: string) {
        return this.call<schemas.EnrolledRoutingServer>("POST", "/v1/routing-servers", { id }, key)
    }
    changeRoutingServer(id: string, change: schemas.ChangeRoutingServer) {
        return this.call<schemas.RoutingServer>("PATCH", `/v1/routing-servers/${encodeURIComponent(id)}`, change)
    }
    deleteRoutingServer(id: string) {
        return this.call<undefined>("DELETE", `/v1/routing-servers/${encodeURIComponent(id)}`)
    }
    getStaticNeighbours() {
        return this.get<schemas.Neighbours>("/v1/static-neighbours")
    }
    putStaticNeighbours(pairs: { a: string; b: string }[]) {
        return this.call<schemas.Neighbours>("PUT", "/v1/static-neighbours", { pairs })
    }

    setStaticNeighbours(a: string, b: string) {
        return this.call<undefined>("PUT", `/v1/static-neighbours/${encodeURIComponent(a)}/${encodeURIComponent(b)}`)
    }
    clearStaticNeighbours(a: string, b: string) {
        return this.call<undefined>("DELETE", `/v1/static-neighbours/${encodeURIComponent(a)}/${encodeURIComponent(b)}`)
    }
    getNeighbourPolicy() {
        return this.get<schemas.NeighbourPolicy>("/v1/neighbour-policy")
    }
    /** With `version`: refused when the policy has changed since. */
    putNeighbourPolicy(policy: Omit<schemas.NeighbourPolicy, "version"> & { version?: number }) {
        return this.call<schemas.NeighbourPolicy>("PUT", "/v1/neighbour-policy", policy)
    }

    listGroups(query: { limit?: number; cursor?: string } = {}) {
        return this.get<Page<schemas.Group>>("/v1/groups", query)
    }
    createGroup(id: string, name: string, members: string[], key?: string) {
        return this.call<schemas.Group>("POST", "/v1/groups", { id, name, members }, key)
    }
    putGroupMembers(id: string, members: string[]) {
        return this.call<schemas.Group>("PUT", `/v1/groups/${encodeURIComponent(id)}/members`, { members })
    }
    deleteGroup(id: string) {
        return this.call<undefined>("DELETE", `/v1/groups/${encodeURIComponent(id)}`)
    }

    listSessions(query: SessionListOptions = {}) {
        return this.get<Page<schemas.Session>>("/v1/sessions", { ...query })
    }
    getSession(id: string) {
        return this.get<schemas.SessionInFull>(`/v1/sessions/${encodeURIComponent(id)}`)
    }
    /** Dry run. */
    canSession(wanted: schemas.AskSession) {
        return this.call<schemas.Forecast>("POST", "/v1/sessions/can", wanted)
    }
    /** When DSP units of `at` are given back, or with `to` bandwidth of the link between the two. */
    nextRelease(at: string, to?: string) {
        return this.get<schemas.Release>("/v1/releases", { at, to })
    }
    book(booking: BookOptions, key?: string) {
        return this.call<schemas.Session>("POST", "/v1/sessions", booking, key)
    }
    /** Without a format: no longer. */
    recordSession(id: string, format: RecordingFormat | undefined) {
        const path = `/v1/sessions/${encodeURIComponent(id)}/recording`
        return format ? this.call<undefined>("PUT", path, { format }) : this.call<undefined>("DELETE", path)
    }
    cancelSession(id: string) {
        return this.call<undefined>("DELETE", `/v1/sessions/${encodeURIComponent(id)}`)
    }

    listAudit(query: AuditOptions = {}) {
        return this.get<Page<schemas.AuditEntry>>("/v1/audit", { ...query })
    }
    issueToken(subject: string, role: Role, options: { endpoint?: string; days?: number } = {}) {
        return this.call<schemas.IssuedToken>("POST", "/v1/tokens", { subject, role, ...options })
    }

    /** Health, ready or not. */
    async readiness(): Promise<Result<schemas.Readiness>> {
        return this.request<schemas.Readiness>("GET", "/readyz", undefined, undefined, [503])
    }

    /** Every item of a list, page by page: `all(cursor => client.listGroups({ cursor }))`. */
    async all<T>(page: (cursor: string | undefined) => Promise<Result<Page<T>>>): Promise<Result<T[]>> {
        const items: T[] = []
        let cursor: string | undefined
        for (let count = 0; count < maxPages; count++) {
            const result = await page(cursor)
            if (!result.ok) return result
            items.push(...result.value.items)
            cursor = result.value.next
            if (cursor === undefined) break
        }
        return { ok: true, value: items }
    }

    private get<T>(path: string, query: Query = {}): Promise<Result<T>> {
        const search = new URLSearchParams()
        for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
        return this.request<T>("GET", search.size > 0 ? `${path}?${search}` : path)
    }

    private call<T>(method: string, path: string, body?: unknown, key?: string): Promise<Result<T>> {
        return this.request<T>(method, path, body, key)
    }

    private async request<T>(
        method: string,
        path: string,
        body?: unknown,
        key?: string,
        fine: number[] = [],
    ): Promise<Result<T>> {
        const headers: Record<string, string> = { authorization: `Bearer ${this.token}` }
        if (body !== undefined) headers["content-type"] = "application/json"
        if (key !== undefined) headers["idempotency-key"] = key
        try {
            const response = await fetch(this.url + path, {
                method,
                headers,
                signal: AbortSignal.timeout(timeoutMs),
                ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            })
            const text = await response.text()
            const value = text ? JSON.parse(text) : undefined
            if (response.ok || fine.includes(response.status)) return { ok: true, value: value as T }
            const { code, what, who, next, status } = value as ProblemBody
            if (typeof code !== "string") return unreachable(`${this.url}${path}: status ${response.status}`)
            const problem = { code, what, who, status }
            return { ok: false, problem: next === undefined ? problem : { ...problem, next } }
        } catch (error) {
            const cause = (error as { cause?: Error }).cause
            return unreachable(`${this.url}: ${cause?.message || (error as Error).message}`)
        }
    }
}

function unreachable(what: string): { ok: false; problem: Unreachable } {
    return { ok: false, problem: { code: "unreachable", what, who: "operator", status: 0 } }
}
