/**
 * Whether a session could have a tree in the true network now: the judge of I9. Errs towards "no": only what no server could doubt
 * counts.
 *
 * A link counts when it gets through, both ends and the source's own link-state database have it, and the session's bandwidth is free
 * on it in truth and as the source was told, even if every other session that is still looking for its tree took it. The shortest
 * paths over such links must meet the delay bounds; together they are a tree. Every server of a destination, and the source, must have
 * its DSP units free with every link of it mixed, whatever tree is chosen.
 *
 * A source that only has the claims' windows forwards only to neighbours that are closer to a destination [claims 18, 20], so that it
 * does not find each way that exists: for it, each link of the network must be free.
 */

import type { DeliveredWish } from "./checker.ts"
import type { SimulatedServer } from "./server.ts"
import type { World } from "./world.ts"

/** `rivals`: other sessions whose holds may change at any moment. */
export function isFeasible(world: World, wish: DeliveredWish, rivals: readonly DeliveredWish[]): boolean {
    const { source, sid, destinations, bandwidthKbps } = wish
    if (!source.isAlive) return false
    const rivalKbps = rivals.reduce((sum, rival) => sum + rival.bandwidthKbps, 0)
    const needs = [{ server: source, units: wish.dspUnits }]
    for (const { rs, dspUnits } of destinations) needs.push({ server: world.serverOf.get(rs)!, units: dspUnits })
    for (const { server, units } of needs) {
        if (!server.isAlive) return false
        const { ledger, limits } = { ledger: server.reservation.ledger, limits: server.limits }
        let rivalUnits = 0
        for (const rival of rivals) {
            const there = rival.source === server ? rival : rival.destinations.find(({ rs }) => rs === server.id)
            if (there) rivalUnits += there.dspUnits + server.directions.size * limits.dspUnitsPerLink
        }
        const needed = units + server.directions.size * limits.dspUnitsPerLink
        if (ledger.dspHeld() - ledger.dspOf(sid) + rivalUnits + needed > limits.dspUnits) return false
    }
    const isFree = (from: SimulatedServer, to: SimulatedServer) =>
        hasFree(source, from, to, sid, bandwidthKbps, rivalKbps)
    if (source.limits.guidedAttempts === 0 && world.links.some(link => link.isUsable && !isFree(link.a, link.b)))
        return false
    const all = distances(world, source, () => true)
    const free = distances(world, source, isFree)
    return destinations.every(({ rs }) => {
        const { index } = world.serverOf.get(rs)!
        const { detourShare, detourFloor } = source.limits
        return (
            free[index] < Number.POSITIVE_INFINITY &&
            free[index] <= Math.floor(Math.max(all[index] * detourShare, all[index] + detourFloor))
        )
    })
}

/** Both directions, in truth and as the source was told. */
function hasFree(
    source: SimulatedServer,
    from: SimulatedServer,
    to: SimulatedServer,
    sid: string,
    bandwidthKbps: number,
    rivalKbps: number,
): boolean {
    for (const [one, other] of [
        [from, to],
        [to, from],
    ]) {
        const told = source.state.database.get(one.id)?.advertisement.links.find(link => link.to === other.id)
        if (!told || Math.floor((told.capacity * told.free) / 16) < bandwidthKbps) return false
        const { ledger } = one.reservation
        const held = ledger.held(other.id) - ledger.sessionHeld(other.id, sid)
        if (held + rivalKbps + bandwidthKbps > one.directions.get(other.id)!.link.capacityKbps) return false
    }
    return true
}

/** Shortest delays from the source over usable links that `allows` lets pass, 0.01 ms, by server. */
function distances(
    world: World,
    source: SimulatedServer,
    allows: (from: SimulatedServer, to: SimulatedServer) => boolean,
): number[] {
    const distance = world.servers.map(() => Number.POSITIVE_INFINITY)
    const done = world.servers.map(() => false)
    distance[source.index] = 0
    for (;;) {
        let next: SimulatedServer | undefined
        for (const server of world.servers)
            if (
                !done[server.index] &&
                distance[server.index] < (next ? distance[next.index] : Number.POSITIVE_INFINITY)
            )
                next = server
        if (!next) return distance
        done[next.index] = true
        for (const { to, link } of next.directions.values()) {
            const sum = distance[next.index] + link.delay
            if (link.isUsable && sum < distance[to.index] && allows(next, to)) distance[to.index] = sum
        }
    }
}
