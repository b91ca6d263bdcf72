/**
 * Typed client of the simulator's control API, for the CLI and for tests. Every call answers with a value or a failure that
 * says who can fix it; none throws for what the simulator or the network does.
 */

import { readFileSync } from "node:fs"
import type { BoardStatus } from "./board.ts"
import type { BoardEvent } from "./events.ts"
import type { ButtonName, Display } from "./hardware/hardware.ts"
import type { MediaEngineStatistics } from "./media-engine/interface.ts"
import type { LogLine } from "./vm/log.ts"
import type { WifiState } from "./wifi.ts"

export interface SimFailure {
    ok: false
    /** "unreachable", "unknown-board", "no-power", "malformed", ... */
    code: string
    what: string
    who: string
    /** HTTP status; 0 when there was no answer. */
    status: number
}

export type SimResult<T> = { ok: true; value: T } | SimFailure

export interface MediaChange {
    microphone?: string | null
    speaker?: string | null
    loop?: boolean
    leadSilenceMs?: number
}

export interface EventFilter {
    board?: string
    types?: BoardEvent["type"][]
}

export interface EventStream extends AsyncIterable<BoardEvent> {
    /** The simulator's clock when the stream began; nothing after that is missed. */
    readonly fromMs: number
    close(): void
}

const answerMs = 10_000

export class SimClient {
    readonly url: string
    readonly #token: string

    constructor(url: string, token: string) {
        this.url = url
        this.#token = token
    }

    /** With the token that the simulator has left in `tokenFile`; throws when it cannot be read. */
    static fromTokenFile(url: string, tokenFile: string): SimClient {
        return new SimClient(url, readFileSync(tokenFile, "utf8").trim())
    }

    async boards(): Promise<SimResult<BoardStatus[]>> {
        const result = await this.#call<{ boards: BoardStatus[] }>("GET", "/v1/boards")
        return result.ok ? { ok: true, value: result.value.boards } : result
    }

    board(id: string): Promise<SimResult<BoardStatus>> {
        return this.#call("GET", path(id))
    }

    screen(id: string): Promise<SimResult<Display>> {
        return this.#call("GET", path(id, "screen"))
    }

    async log(id: string, lines = 100): Promise<SimResult<LogLine[]>> {
        const result = await this.#call<{ lines: LogLine[] }>("GET", `${path(id, "log")}?lines=${lines}`)
        return result.ok ? { ok: true, value: result.value.lines } : result
    }

    /** `atMs`: when the contact closed, on the clock of the events. */
    press(id: string, button: ButtonName, holdMs?: number): Promise<SimResult<{ atMs: number }>> {
        return this.#call("POST", path(id, "press"), { button, holdMs })
    }

    turn(id: string, steps: number): Promise<SimResult<{ atMs: number }>> {
        return this.#call("POST", path(id, "turn"), { steps })
    }

    power(id: string, action: "on" | "off" | "cycle" | "reset"): Promise<SimResult<BoardStatus>> {
        return this.#call("POST", path(id, "power"), { action })
    }

    wifi(id: string, change: Partial<WifiState>): Promise<SimResult<WifiState>> {
        return this.#call("POST", path(id, "wifi"), change)
    }

    /** Plugs a cable into the serial port, or pulls it; where the port is to be opened, null when it is not plugged in. */
    serial(id: string, plugged: boolean): Promise<SimResult<{ path: string | null }>> {
        return this.#call("POST", path(id, "serial"), { plugged })
    }

    media(id: string, change: MediaChange): Promise<SimResult<{ atMs: number; durationMs?: number }>> {
        return this.#call("POST", path(id, "media"), change)
    }

    mediaStatistics(id: string): Promise<SimResult<MediaEngineStatistics>> {
        return this.#call("GET", path(id, "media"))
    }

    /** Live events, from the moment that this resolves. Close it, or leave the `for await`, when done. */
    async events(filter: EventFilter = {}): Promise<SimResult<EventStream>> {
        const query = new URLSearchParams()
        if (filter.board !== undefined) query.set("board", filter.board)
        if (filter.types) query.set("types", filter.types.join(","))
        const abort = new AbortController()
        let response: Response
        try {
            response = await fetch(`${this.url}/v1/events?${query}`, { headers: this.#headers(), signal: abort.signal })
        } catch (error) {
            return unreachable(this.url, error)
        }
        if (!response.ok || !response.body) return failureOf(response)
        const messages = messagesOf(response.body, abort.signal)
        const first = await messages.next()
        if (first.done) return unreachable(this.url, new Error("the stream ended"))
        const { atMs } = JSON.parse(first.value) as { atMs: number }
        return {
            ok: true,
            value: {
                fromMs: atMs,
                close: () => abort.abort(),
                async *[Symbol.asyncIterator]() {
                    try {
                        for await (const message of messages) yield JSON.parse(message) as BoardEvent
                    } finally {
                        abort.abort()
                    }
                },
            },
        }
    }

    async #call<T>(method: string, route: string, body?: object): Promise<SimResult<T>> {
        try {
            const response = await fetch(`${this.url}${route}`, {
                method,
                headers: body ? { ...this.#headers(), "content-type": "application/json" } : this.#headers(),
                body: body && JSON.stringify(body),
                signal: AbortSignal.timeout(answerMs),
            })
            return response.ok ? { ok: true, value: (await response.json()) as T } : await failureOf(response)
        } catch (error) {
            return unreachable(this.url, error)
        }
    }

    #headers(): Record<string, string> {
        return { authorization: `Bearer ${this.#token}` }
    }
}

/** The data of each server-sent event, until the stream ends or is closed. */
async function* messagesOf(
    body: ReadableStream<Uint8Array>,
    signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder()
    let rest = ""
    try {
        for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
            rest += decoder.decode(chunk, { stream: true })
            const blocks = rest.split("\n\n")
            rest = blocks.pop() ?? ""
            for (const block of blocks) {
                const data = block.split("\n").find(line => line.startsWith("data: "))
                if (data) yield data.slice(6)
            }
        }
    } catch (error) {
        // Closing the stream ends it; anything else that ends it is the simulator's end, which is the same to a reader.
        if (!signal.aborted && !(error instanceof TypeError)) throw error
    }
}

function path(id: string, part = ""): string {
    return `/v1/boards/${encodeURIComponent(id)}${part ? `/${part}` : ""}`
}

async function failureOf(response: Response): Promise<SimFailure> {
    const { code, detail, who } = (await response.json().catch(() => ({}))) as Record<string, string | undefined>
    return {
        ok: false,
        code: code ?? "failed",
        what: detail ?? `the simulator answered ${response.status}`,
        who: who ?? "maker",
        status: response.status,
    }
}

function unreachable(url: string, error: unknown): SimFailure {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).name
    return {
        ok: false,
        code: "unreachable",
        what: `the simulator at ${url} does not answer (${cause})`,
        who: "operator",
        status: 0,
    }
}
