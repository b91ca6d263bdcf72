import assert from "node:assert/strict"
import { test } from "node:test"
import type { ReservationReport, ServerSession } from "../../protocol/servers.ts"
import { drawSeed, type SeededRandom, seededRandom } from "../support/random.ts"
import { World } from "./world.ts"

const servers = ["rs-a", "rs-b", "rs-c", "rs-d"]
const unitsOfServer = 6

/**
 * Routing servers as far as the group server can tell them from real ones: they hear `session` and `end`, hold DSP units for
 * a star from the source while these suffice, and report what has become of it.
 */
class Network {
    readonly world = new World()
    /** Per session and server, the units that are held. */
    readonly held = new Map<string, Map<string, number>>()
    readonly states = new Map<string, ReservationReport["state"]>()
    /** Attempts of sources since the last look. */
    attempts = 0
    private epoch = 0
    private readonly wishes = new Map<string, string>()

    free(server: string): number {
        let free = unitsOfServer
        for (const units of this.held.values()) free -= units.get(server) ?? 0
        return free
    }

    /** Lets everybody hear what they were sent, until nothing is on its way. */
    settle(label: string): void {
        for (let round = 0; this.world.sent.length > 0; round++) {
            assert.ok(round < 60, `${label}: they never come to rest`)
            const sent = this.world.sent.filter(send => send.kind === "rs")
            this.world.sent = []
            for (const { to, verb, message } of sent) {
                if (verb === "end") this.drop(String(message.sid))
                if (verb === "session") this.hear(to, message as unknown as ServerSession)
            }
            for (const server of servers) this.tellState(server)
        }
    }

    tellState(server: string): void {
        const dsp = { dspUnits: unitsOfServer, dspFree: this.free(server) }
        this.world.tell("rs", server, { boot: 1, on: 1, ...dsp, links: [] })
    }

    private drop(sid: string): void {
        this.held.delete(sid)
        this.states.delete(sid)
        this.wishes.delete(sid)
    }

    private hear(to: string, { sid, source, members, unreached = [] }: ServerSession): void {
        if (to !== source) return
        const left = new Set(unreached.map(one => one.rs))
        const counts = new Map<string, number>()
        for (const { rs } of members) if (rs && !left.has(rs)) counts.set(rs, (counts.get(rs) ?? 0) + 1)
        const wish = JSON.stringify([source, [...counts].sort()])
        if (this.states.get(sid) === "active" && this.wishes.get(sid) === wish) return
        this.wishes.set(sid, wish)
        this.attempts++
        this.held.delete(sid)
        const needed = new Map(
            [...counts].map(([rs, count]) => [rs, count + (rs === source ? counts.size - 1 : 1)] as const),
        )
        const short = [...needed]
            .filter(([rs, units]) => units > this.free(rs))
            .map(([rs, units]) => ({ rs, reason: "no-dsp" as const, what: `${units} needed`, at: rs }))
        const state = short.length > 0 ? "refused" : "active"
        if (state === "active") this.held.set(sid, needed)
        this.states.set(sid, state)
        const tree = [...counts.keys()].filter(rs => rs !== source).map(rs => ({ rs, parent: source }))
        this.epoch++
        this.world.ask("rs", source, "reservation", {
            ...{ sid, ep: this.epoch, state, kbps: 96, short, tree: state === "active" ? tree : [] },
        })
    }
}

function play(random: SeededRandom, label: string): { left: number } {
    const network = new Network()
    const { world } = network
    const rooms = Array.from({ length: 24 }, (_, index) => `r-${index}`)
    world.rooms(...rooms)
    world.servers(...servers)
    for (const from of servers)
        world.ask("rs", from, "distances", {
            list: servers.filter(rs => rs !== from).map(rs => ({ rs, delay: random.int(100, 3000) })),
        })
    for (const room of rooms) world.attach(room, random.pick(servers))
    for (const server of servers) network.tellState(server)
    let left = 0
    for (let event = 0; event < 60; event++) {
        const live = [...world.state.durable.sessions.values()].filter(one => one.state === "open")
        if (random.chance(0.5)) {
            const members = [...new Set(Array.from({ length: random.int(2, 6) }, () => random.pick(rooms)))]
            if (members.length < 2) continue
            world.do({ do: "createGroup", id: `g-${event}`, name: "G", members })
            world.book(members[0], `g-${event}`, 0, random.int(5, 60), { id: event + 1000 })
        } else if (live.length > 0 && random.chance(0.4)) {
            const { id, booker } = random.pick(live)
            world.ask("ep", booker, "cancel", { sid: id })
        } else if (random.chance(0.4)) world.attach(random.pick(rooms), random.pick(servers))
        network.settle(label)
        for (let seconds = random.int(0, 50); seconds > 0; seconds--) {
            world.pass(1)
            network.settle(label)
        }
        for (const server of servers) assert.ok(network.free(server) >= 0, `${label}: ${server} is over-committed`)
        for (const { unreached } of world.state.live.reservations.values()) left += unreached.size
    }
    // Sessions end one after the other; whoever is left over gets all that it wants in the end.
    for (;;) {
        const live = [...world.state.durable.sessions.values()].filter(one => one.state === "open")
        if (live.length <= 1) break
        world.ask("ep", live[0].booker, "cancel", { sid: live[0].id })
        network.settle(label)
    }
    world.pass(31)
    network.settle(label)
    // At most six members: with their links they need no more than the six units of any server.
    for (const { told, unreached } of world.state.live.reservations.values())
        assert.deepEqual([told?.state, unreached.size], ["active", 0], `${label}: alone, it has everything`)
    // A look at the sources may move the one that was chosen when others were in the way, but not for ever.
    const look = () => {
        for (const [from, delays] of world.state.live.distances)
            world.ask("rs", from, "distances", { list: [...delays].map(([rs, delay]) => ({ rs, delay })) })
        network.settle(label)
    }
    look()
    const attempts = network.attempts
    world.pass(20)
    look()
    assert.equal(network.attempts, attempts, `${label}: what is at rest stays so`)
    return { left }
}

test("sessions that want more than there is come to rest, nothing is asked for ever, and the last one has everything", () => {
    const seed = drawSeed("reservation loop")
    let left = 0
    for (let run = 0; run < 40; run++) left += play(seededRandom(seed + run), `seed ${seed + run}`).left
    assert.ok(left > 100, `only ${left} servers were left out: there was enough for all`)
})
