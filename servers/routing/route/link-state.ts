/**
 * The link-state database of one routing server: keeps the newest advertisement of everyone, floods what is new, answers
 * what a neighbour lacks, and decides when this server's own links are worth telling again.
 *
 * A pure state machine: `step(event, nowMs)` returns effects. It relies on the link's control channel being ordered and
 * reliable (TLS); what was in flight when a link breaks is made good by the key exchange when it is up again.
 * Never computes routes. [routing-spec 3]
 */

import {
    type AdvertisedLink,
    type Advertisement,
    type AdvertisementKey,
    advertisementLimits,
    compareAge,
    problemWithAdvertisement,
} from "./advertisement.ts"

export interface LinkStateLimits {
    /** Two own advertisements are at least this far apart ... */
    minIntervalMs: number
    /**
     * ... and after many in a row up to this far. A link that goes down is told at once; one that comes up does not wait
     * for what other links have done, only for its own ups in the last while.
     */
    maxIntervalMs: number
    /** A link that has come up before counts as restless for so long. */
    restlessMs: number
    refreshMs: number
    ageOutMs: number
    /** A smoothed delay is told again when it moved by this share and by `changeFloor`. */
    changeShare: number
    /** 0.01 ms. */
    changeFloor: number
}

export const linkStateDefaults: LinkStateLimits = {
    minIntervalMs: 1000,
    maxIntervalMs: 30_000,
    restlessMs: 60_000,
    refreshMs: 300_000,
    ageOutMs: 900_000,
    changeShare: 0.1,
    changeFloor: 200,
}

export type LinkStateEvent =
    | { type: "tick" }
    /** Link to a neighbour is up: exchange keys. */
    | { type: "neighbourUp"; peer: string }
    | { type: "neighbourDown"; peer: string }
    /** What this server measures of its links now; told when it differs enough. */
    | { type: "measured"; links: AdvertisedLink[] }
    | { type: "advertisements"; from: string; list: unknown }
    | { type: "keys"; from: string; list: unknown }
    | { type: "want"; from: string; list: unknown }
    /** The group server's list: advertisements of servers that are no longer in it are dropped. */
    | { type: "members"; ids: readonly string[] }

export type LinkStateEffect =
    | { type: "send"; to: string; message: LinkStateMessage }
    /** The database changed for this origin; `advertisement` is absent when it was dropped. */
    | { type: "changed"; origin: string; advertisement?: Advertisement; previous?: Advertisement }
    | { type: "malformed"; from: string; problem: string }

export type LinkStateMessage =
    | { kind: "advertisements"; list: Advertisement[] }
    | { kind: "keys"; list: AdvertisementKey[] }
    | { kind: "want"; list: string[] }

/** Largest number of advertisements in one message, so that one fits the link's frame limit. */
const batch = 50

interface Entry {
    advertisement: Advertisement
    heardMs: number
}

export class LinkState {
    private readonly entries = new Map<string, Entry>()
    private readonly neighbours = new Set<string>()
    private members: ReadonlySet<string> | undefined
    private links: AdvertisedLink[] = []
    private seq = 0
    private toldMs = Number.NEGATIVE_INFINITY
    private intervalMs: number
    /** Own links differ enough from what was told, but the interval is not over. */
    private pending = false
    /** How long after the last advertisement what is pending may be told. */
    private waitMs = 0
    /** How often each link has come up of late. */
    private readonly ups = new Map<string, { count: number; lastMs: number }>()

    constructor(
        readonly self: string,
        private readonly bootId: number,
        private readonly limits: LinkStateLimits = linkStateDefaults,
        private readonly area = 0,
    ) {
        this.intervalMs = limits.minIntervalMs
    }

    get database(): ReadonlyMap<string, { advertisement: Advertisement; heardMs: number }> {
        return this.entries
    }

    step(event: LinkStateEvent, nowMs: number): LinkStateEffect[] {
        switch (event.type) {
            case "tick":
                return this.onTick(nowMs)
            case "neighbourUp":
                this.neighbours.add(event.peer)
                return inBatches(this.keys(), list => ({
                    type: "send",
                    to: event.peer,
                    message: { kind: "keys", list },
                }))
            case "neighbourDown":
                this.neighbours.delete(event.peer)
                return []
            case "measured":
                return this.onMeasured(event.links, nowMs)
            case "advertisements":
                return this.onAdvertisements(event.from, event.list, nowMs)
            case "keys":
                return this.onKeys(event.from, event.list)
            case "want":
                return this.onWant(event.from, event.list)
            case "members":
                return this.onMembers(event.ids)
        }
    }

    /** When `step` with a tick has something to do next, at the latest. */
    nextTickMs(): number {
        let next = this.toldMs + this.limits.refreshMs
        if (this.pending) next = Math.min(next, this.toldMs + this.waitMs)
        for (const entry of this.entries.values()) next = Math.min(next, entry.heardMs + this.limits.ageOutMs)
        return next
    }

    private onTick(nowMs: number): LinkStateEffect[] {
        const effects: LinkStateEffect[] = []
        if (this.pending && nowMs >= this.toldMs + this.waitMs) effects.push(...this.tell(nowMs))
        else if (this.toldMs > Number.NEGATIVE_INFINITY && nowMs >= this.toldMs + this.limits.refreshMs)
            effects.push(...this.tell(nowMs))
        for (const [origin, entry] of this.entries)
            if (origin !== this.self && nowMs >= entry.heardMs + this.limits.ageOutMs) effects.push(this.drop(origin))
        return effects
    }

    private onMeasured(links: AdvertisedLink[], nowMs: number): LinkStateEffect[] {
        const told = this.entries.get(this.self)?.advertisement.links
        this.links = links
        if (!told) return this.tell(nowMs)
        const lost = told.some(before => !links.some(now => now.to === before.to))
        // A dead link costs packets until everybody knows, so that it never waits for the interval.
        if (lost) return this.tell(nowMs)
        const differs =
            links.length !== told.length ||
            links.some(now => {
                const before = told.find(link => link.to === now.to)
                return !before || this.worthTelling(before, now)
            })
        this.pending = differs
        if (!differs) return []
        this.waitMs = this.intervalMs
        for (const { to } of links)
            if (!told.some(before => before.to === to)) this.waitMs = Math.min(this.waitMs, this.upWaitMs(to, nowMs))
        if (nowMs < this.toldMs + this.waitMs) return []
        return this.tell(nowMs)
    }

    private upWaitMs(to: string, nowMs: number): number {
        const ups = this.ups.get(to)
        if (!ups || nowMs - ups.lastMs > this.limits.restlessMs) return this.limits.minIntervalMs
        return Math.min(this.limits.maxIntervalMs, this.limits.minIntervalMs * 2 ** Math.min(ups.count, 20))
    }

    /** Notes which links are told for the first time, or again after they were gone. */
    private countUps(nowMs: number): void {
        const told = this.entries.get(this.self)?.advertisement.links
        for (const [to, { lastMs }] of this.ups) if (nowMs - lastMs > this.limits.restlessMs) this.ups.delete(to)
        for (const { to } of this.links) {
            if (told?.some(before => before.to === to)) continue
            this.ups.set(to, { count: (this.ups.get(to)?.count ?? 0) + 1, lastMs: nowMs })
        }
    }

    private worthTelling(before: AdvertisedLink, now: AdvertisedLink): boolean {
        const moved = Math.abs(now.delay - before.delay)
        return (
            moved > Math.max(before.delay * this.limits.changeShare, this.limits.changeFloor) ||
            lossClass(now.loss) !== lossClass(before.loss) ||
            now.free !== before.free ||
            now.capacity !== before.capacity ||
            now.hops !== before.hops
        )
    }

    /** Makes a new advertisement of the own links and floods it. */
    private tell(nowMs: number): LinkStateEffect[] {
        const quietMs = nowMs - this.toldMs
        this.intervalMs =
            quietMs > 2 * this.intervalMs
                ? this.limits.minIntervalMs
                : Math.min(this.limits.maxIntervalMs, this.intervalMs * 2)
        this.countUps(nowMs)
        this.toldMs = nowMs
        this.pending = false
        this.seq++
        const advertisement: Advertisement = {
            origin: this.self,
            bootId: this.bootId,
            seq: this.seq,
            area: this.area,
            links: this.links.slice(0, advertisementLimits.links),
        }
        return [this.keep(advertisement, nowMs), ...this.flood([advertisement])]
    }

    private onAdvertisements(from: string, list: unknown, nowMs: number): LinkStateEffect[] {
        if (!Array.isArray(list) || list.length > batch) return [malformed(from, "advertisements: a list is needed")]
        const effects: LinkStateEffect[] = []
        const news: Advertisement[] = []
        const stale: Advertisement[] = []
        for (const item of list) {
            const problem = problemWithAdvertisement(item)
            if (problem) {
                effects.push(malformed(from, problem))
                continue
            }
            const advertisement = item as Advertisement
            if (advertisement.origin === this.self) {
                effects.push(...this.onOwn(advertisement, nowMs))
                continue
            }
            if (!this.isMember(advertisement.origin)) continue
            const known = this.entries.get(advertisement.origin)
            const age = known ? compareAge(advertisement, known.advertisement) : 1
            if (age > 0) {
                effects.push(this.keep(advertisement, nowMs))
                news.push(advertisement)
            } else if (age < 0 && known) stale.push(known.advertisement)
        }
        if (news.length > 0) effects.push(...this.flood(news, from))
        if (stale.length > 0) effects.push({ type: "send", to: from, message: { kind: "advertisements", list: stale } })
        return effects
    }

    /** Somebody tells what we said before: newer than what we know means that we lost count, so we count on from there. */
    private onOwn(heard: Advertisement, nowMs: number): LinkStateEffect[] {
        const own = this.entries.get(this.self)
        if (heard.bootId > this.bootId) return []
        if (heard.bootId < this.bootId || heard.seq <= this.seq)
            return own && compareAge(own.advertisement, heard) > 0 ? this.flood([own.advertisement]) : []
        this.seq = heard.seq
        return this.tell(nowMs)
    }

    private onKeys(from: string, list: unknown): LinkStateEffect[] {
        if (!Array.isArray(list) || list.length > batch) return [malformed(from, "keys: a list is needed")]
        const want: string[] = []
        const newer: Advertisement[] = []
        for (const key of list as AdvertisementKey[]) {
            if (typeof key?.origin !== "string" || !Number.isInteger(key.bootId) || !Number.isInteger(key.seq))
                return [malformed(from, "keys: origin, bootId and seq are needed")]
            const known = this.entries.get(key.origin)
            if (!known) {
                if (this.isMember(key.origin)) want.push(key.origin)
                continue
            }
            const age = compareAge(key, known.advertisement)
            if (age > 0) want.push(key.origin)
            else if (age < 0) newer.push(known.advertisement)
        }
        const effects: LinkStateEffect[] = []
        if (want.length > 0) effects.push({ type: "send", to: from, message: { kind: "want", list: want } })
        if (newer.length > 0) effects.push({ type: "send", to: from, message: { kind: "advertisements", list: newer } })
        return effects
    }

    private onWant(from: string, list: unknown): LinkStateEffect[] {
        if (!Array.isArray(list) || list.length > batch) return [malformed(from, "want: a list is needed")]
        const found: Advertisement[] = []
        for (const origin of list) {
            const entry = typeof origin === "string" ? this.entries.get(origin) : undefined
            if (entry) found.push(entry.advertisement)
        }
        return found.length > 0 ? [{ type: "send", to: from, message: { kind: "advertisements", list: found } }] : []
    }

    private onMembers(ids: readonly string[]): LinkStateEffect[] {
        this.members = new Set(ids)
        const effects: LinkStateEffect[] = []
        for (const origin of [...this.entries.keys()])
            if (origin !== this.self && !this.members.has(origin)) effects.push(this.drop(origin))
        return effects
    }

    private isMember(id: string): boolean {
        return this.members === undefined || this.members.has(id)
    }

    private keep(advertisement: Advertisement, nowMs: number): LinkStateEffect {
        const previous = this.entries.get(advertisement.origin)?.advertisement
        this.entries.set(advertisement.origin, { advertisement, heardMs: nowMs })
        return { type: "changed", origin: advertisement.origin, advertisement, previous }
    }

    private drop(origin: string): LinkStateEffect {
        const previous = this.entries.get(origin)?.advertisement
        this.entries.delete(origin)
        return { type: "changed", origin, previous }
    }

    private flood(list: Advertisement[], except?: string): LinkStateEffect[] {
        const effects: LinkStateEffect[] = []
        for (const peer of this.neighbours)
            if (peer !== except)
                for (let i = 0; i < list.length; i += batch)
                    effects.push({
                        type: "send",
                        to: peer,
                        message: { kind: "advertisements", list: list.slice(i, i + batch) },
                    })
        return effects
    }

    private keys(): AdvertisementKey[] {
        return [...this.entries.values()].map(({ advertisement: { origin, bootId, seq } }) => ({ origin, bootId, seq }))
    }
}

/** Loss in classes, so that a path is not told anew for every lost packet: none, 0.1 %, 0.5 %, 2 %, 10 %. */
export function lossClass(lossOf10000: number): number {
    return lossOf10000 < 10 ? 0 : lossOf10000 < 50 ? 1 : lossOf10000 < 200 ? 2 : lossOf10000 < 1000 ? 3 : 4
}

function inBatches<T>(list: T[], effect: (part: T[]) => LinkStateEffect): LinkStateEffect[] {
    const effects: LinkStateEffect[] = []
    for (let i = 0; i < list.length; i += batch) effects.push(effect(list.slice(i, i + batch)))
    return effects
}

function malformed(from: string, problem: string): LinkStateEffect {
    return { type: "malformed", from, problem }
}
