/**
 * Typed client of a routing server's control API, for the CLI, benches and tests. Refusals come back as values; none throws
 * for what the server or the network does.
 */

import { readFileSync } from "node:fs"
import type { PathConditions } from "../underlay/conditions.ts"
import type { AnswerName, AnswerOf } from "./answers.ts"
import type { ProblemBody } from "./problems.ts"
import type * as schemas from "./schemas.ts"

export interface ControlFailure {
    ok: false
    /** A code of `problems.ts`, "unreachable", or "unexpected" when what came is not what the schemas say. */
    code: ProblemBody["code"] | "unreachable" | "unexpected"
    what: string
    who: string
    /** HTTP status; 0 when there was no answer. */
    status: number
}
export type ControlResult<T> = { ok: true; value: T } | ControlFailure

const timeoutMs = 10_000

export class ControlClient {
    readonly url: string
    readonly #token: string

    constructor(url: string, token: string) {
        this.url = url.replace(/\/$/, "")
        this.#token = token
    }

    /** With the token that the server has left in `tokenFile`; throws when it cannot be read. */
    static fromTokenFile(url: string, tokenFile: string): ControlClient {
        return new ControlClient(url, readFileSync(tokenFile, "utf8").trim())
    }

    state() {
        return this.#call("state", "GET", "/v1/state")
    }
    links() {
        return this.#call("links", "GET", "/v1/links")
    }
    /** Replaces what was emulated towards `peer`, an identifier or an address. */
    putUnderlay(peer: string, conditions: Partial<PathConditions>) {
        return this.#call("conditions", "PUT", `/v1/links/${encodeURIComponent(peer)}/underlay`, conditions)
    }
    deleteUnderlay(peer: string) {
        return this.#call("nothing", "DELETE", `/v1/links/${encodeURIComponent(peer)}/underlay`)
    }
    async neighbours(): Promise<ControlResult<schemas.Neighbour[]>> {
        const result = await this.#call("neighbours", "GET", "/v1/neighbours")
        return result.ok ? { ok: true, value: result.value.neighbours } : result
    }
    async routes(): Promise<ControlResult<schemas.Route[]>> {
        const result = await this.#call("routes", "GET", "/v1/routes")
        return result.ok ? { ok: true, value: result.value.routes } : result
    }
    explainRoute(to: string) {
        return this.#call("explanation", "GET", `/v1/routes/${encodeURIComponent(to)}`)
    }
    ping(to: string, series: schemas.PingGiven = {}) {
        const { count = 1, intervalMs = 200, timeoutMs: answerMs = 1000 } = series
        const longestMs = count * intervalMs + answerMs + timeoutMs
        return this.#call("ping", "POST", `/v1/ping/${encodeURIComponent(to)}`, series, longestMs)
    }
    /** The attempts that the server has a part in, all or those of one session, and what is held there in all. */
    reservations(sid?: string) {
        const query = sid === undefined ? "" : `?sid=${encodeURIComponent(sid)}`
        return this.#call("reservations", "GET", `/v1/reservations${query}`)
    }
    /** Whether a tree from this server to others fits; nothing is held. */
    canReserve(destinations: readonly string[], kbps: number) {
        return this.#call("can", "POST", "/v1/reservations/can", { destinations, kbps })
    }
    /** Legs, links of trees and sessions in transit, with what each carried. */
    media(sid?: string) {
        const query = sid === undefined ? "" : `?sid=${encodeURIComponent(sid)}`
        return this.#call("media", "GET", `/v1/media${query}`)
    }
    /** Lets a standard RTP sender or receiver into a session that has members at this server. */
    putPlainLeg(sid: string, name: string, wish: schemas.PlainGiven) {
        return this.#call("plain", "PUT", plainPath(sid, name), wish)
    }
    deletePlainLeg(sid: string, name: string) {
        return this.#call("nothing", "DELETE", plainPath(sid, name))
    }
    metrics() {
        return this.#call("text", "GET", "/metrics")
    }
    ready() {
        return this.#call("health", "GET", "/readyz")
    }

    /** As `#ask`; what comes is checked. */
    async #call<Name extends AnswerName>(
        name: Name,
        method: string,
        path: string,
        body?: unknown,
        withinMs?: number,
    ): Promise<ControlResult<AnswerOf<Name>>> {
        const result = await this.#ask<AnswerOf<Name>>(method, path, body, withinMs)
        if (!result.ok) return result
        const { isAnswer } = await import("./answers.ts")
        if (isAnswer(name, result.value)) return result
        const what = `${this.url}${path} answers otherwise than expected: use servers and commands of the same version`
        return { ok: false, code: "unexpected", what, who: "operator", status: 200 }
    }

    async #ask<T>(
        method: string,
        path: string,
        body?: unknown,
        withinMs: number = timeoutMs,
    ): Promise<ControlResult<T>> {
        let response: Response
        let text: string
        try {
            response = await fetch(this.url + path, {
                method,
                headers: {
                    authorization: `Bearer ${this.#token}`,
                    ...(body !== undefined && { "content-type": "application/json" }),
                },
                body: body === undefined ? undefined : JSON.stringify(body),
                signal: AbortSignal.timeout(withinMs),
            })
            text = await response.text()
        } catch (error) {
            const { message, cause } = error as Error
            const what = `${this.url}: ${(cause as Error | undefined)?.message ?? message}`
            return { ok: false, code: "unreachable", what, who: "operator", status: 0 }
        }
        const isJson = /json/.test(response.headers.get("content-type") ?? "")
        let value: unknown = text
        try {
            if (isJson) value = JSON.parse(text)
        } catch {
            value = undefined
        }
        if (response.ok) return { ok: true, value: (response.status === 204 ? undefined : value) as T }
        const { code, what, who } = (value ?? {}) as Partial<ProblemBody>
        return {
            ok: false,
            code: code ?? "failed",
            what: what ?? `${this.url}: HTTP ${response.status}`,
            who: who ?? "operator",
            status: response.status,
        }
    }
}

function plainPath(sid: string, name: string): string {
    return `/v1/sessions/${encodeURIComponent(sid)}/plain/${encodeURIComponent(name)}`
}
