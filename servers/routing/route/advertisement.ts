/**
 * Link-state advertisements: what one routing server says of its links, and which of two is newer.
 *
 * Owns the shape and its limits. [routing-spec 3]
 */

export interface AdvertisedLink {
    to: string
    /** One way, smoothed, in 0.01 ms. */
    delay: number
    /** p95 of its variation, in 0.01 ms. */
    jitter: number
    /** Packets lost of 10 000. */
    loss: number
    /** kbit/s, as configured and at most lowered by measurement. */
    capacity: number
    /** What is not reserved, in sixteenths of the capacity. */
    free: number
    hops: number
}

export interface Advertisement {
    origin: string
    /** Counts the origin's starts: a higher one has forgotten what it said before. */
    bootId: number
    seq: number
    area: number
    links: AdvertisedLink[]
}

/** Identifies one advertisement without its content; exchanged when a link comes up. */
export interface AdvertisementKey {
    origin: string
    bootId: number
    seq: number
}

export const advertisementLimits = { links: 64, maxServers: 2000 }

/** More than 0 when `a` is newer than `b`, 0 when they are the same one. */
export function compareAge(a: AdvertisementKey, b: AdvertisementKey): number {
    return a.bootId - b.bootId || a.seq - b.seq
}

const u32 = 4294967295
const isCount = (value: unknown, max = u32): value is number =>
    typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max

/** What is wrong with something received as an advertisement, or "". */
export function problemWithAdvertisement(value: unknown): string {
    if (typeof value !== "object" || value === null) return "an object is needed"
    const { origin, bootId, seq, area, links } = value as Advertisement
    if (typeof origin !== "string" || origin.length < 1 || origin.length > 24) return "origin: an identifier is needed"
    if (!isCount(bootId) || !isCount(seq) || !isCount(area)) return "bootId, seq, area: integers are needed"
    if (!Array.isArray(links) || links.length > advertisementLimits.links)
        return `links: a list of at most ${advertisementLimits.links} is needed`
    const seen = new Set<string>()
    for (const link of links) {
        if (typeof link !== "object" || link === null) return "links: objects are needed"
        if (typeof link.to !== "string" || link.to.length < 1 || link.to.length > 24 || link.to === origin)
            return "links.to: an identifier other than the origin's is needed"
        if (seen.has(link.to)) return `links.to: ${link.to} stands twice`
        seen.add(link.to)
        if (!isCount(link.delay) || link.delay < 1 || !isCount(link.jitter) || !isCount(link.capacity))
            return "links: delay (at least 1), jitter and capacity: integers are needed"
        if (!isCount(link.loss, 10000) || !isCount(link.free, 16) || !isCount(link.hops, 255))
            return "links: loss 0..10000, free 0..16, hops 0..255 are needed"
    }
    return ""
}
