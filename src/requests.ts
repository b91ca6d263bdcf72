/**
 * Requests that wait for their answer. Owns ids, repetition under the same id and expiry; never sends.
 * Each request ends in exactly one of done, refused (by `settle`) or expired (by `expire`); whoever gives up earlier
 * drops it, and a late answer then finds nothing.
 */

import { limits } from "../protocol/limits"

const repeatAfterMs = 1200
/** More than a person can start by pressing; the oldest gives way. */
const maxPending = 8

export interface Request {
    id: number
    /** The routing server asked, or "" for the group server. */
    server: string
    verb: string
    body: any
    /** When it was first sent; -1 while it has not been. */
    sentAtMs: number
    repeatAtMs: number
    expiresAtMs: number
}

export class Requests {
    pending: Request[] = []
    private lastId = 0

    /** A new request; `body` gets its id. Publishing is up to whoever asks for `due`. */
    open(nowMs: number, server: string, verb: string, body: any): Request {
        const id = ++this.lastId
        body.id = id
        if (this.pending.length >= maxPending) this.pending.shift()
        const expiresAtMs = nowMs + limits.requestTimeoutMs
        const request: Request = { id, server, verb, body, sentAtMs: -1, repeatAtMs: nowMs, expiresAtMs }
        this.pending.push(request)
        return request
    }

    /** Requests to be published now, for the first time or again. */
    due(nowMs: number): Request[] {
        return this.pending.filter(request => {
            if (request.repeatAtMs > nowMs) return false
            if (request.sentAtMs < 0) request.sentAtMs = nowMs
            request.repeatAtMs = nowMs + repeatAfterMs
            return true
        })
    }

    /** After a reconnect: what was under way may be lost, so everything goes out again. */
    repeatAll(nowMs: number): void {
        this.pending.forEach(request => {
            request.repeatAtMs = nowMs
        })
    }

    /** The request that an answer of this party belongs to; undefined when it is answered, dropped or another's. */
    settle(server: string, id: number): Request | undefined {
        return this.take(one => one.id === id && one.server === server)
    }

    /** Takes one request that nobody answered in time. */
    expire(nowMs: number): Request | undefined {
        return this.take(one => one.expiresAtMs <= nowMs)
    }

    has(verb: string): boolean {
        return this.pending.some(request => request.verb === verb)
    }

    drop(verb: string): void {
        this.pending = this.pending.filter(request => request.verb !== verb)
    }

    private take(isWanted: (request: Request) => boolean): Request | undefined {
        const request = this.pending.find(isWanted)
        if (request) this.pending = this.pending.filter(one => one !== request)
        return request
    }
}
