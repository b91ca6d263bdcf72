/**
 * What goes wrong in the network: crashes with loss of memory, cuts, silent cuts, links that flap, links whose delay changes and, in
 * the harsh profile, links over which the reservation falls silent while all else gets through.
 *
 * Owns when and what, from its own stream of the seed. How a fault spreads is the world's business.
 */

import type { World } from "./world.ts"

const common = ["crash", "crash", "cut", "cut", "silent", "silent", "flap", "slow"] as const
const kinds = { calm: common, faults: common, harsh: [...common, "deaf", "deaf", "deaf"] as const }

export class Faults {
    happened = 0
    /** Faults that are not over. */
    open = 0

    constructor(private readonly world: World) {}

    /** Plans the faults of the run; each is over after a while, unless the scenario leaves the last ones. */
    plan(): void {
        const { agenda, scenario, faultRandom: random } = this.world
        const { faultEveryMs, busyMs } = scenario
        if (faultEveryMs === Number.POSITIVE_INFINITY) return
        // Exponential gaps: faults also come close together.
        const gapMs = () => -Math.log(1 - random.fraction()) * faultEveryMs
        for (let atMs = 2500 + gapMs(); atMs < busyMs; atMs += gapMs()) agenda.at(atMs, () => this.strike())
    }

    /** Messages are not swallowed any more. */
    rest(): void {
        for (const { there, back } of this.world.links) there.deafUntilMs = back.deafUntilMs = 0
    }

    private strike(): void {
        const { world } = this
        const { agenda, faultRandom: random } = world
        const kind = random.pick<(typeof kinds)["harsh"][number]>(kinds[world.scenario.profile])
        const server = random.pick(world.servers)
        const link = random.pick(world.links)
        // Often shorter than it takes to notice, and sometimes longer than any lease.
        const lastsMs = random.chance(0.3) ? random.between(20, 400) : random.between(400, 12_000)
        const flaps = random.below(4) + 2
        this.happened++
        switch (kind) {
            case "crash":
                if (!server.isAlive) return
                world.crash(server)
                this.heal(lastsMs, () => world.restart(server))
                return
            case "cut":
            case "silent":
                this.cut(link, kind === "silent", lastsMs)
                return
            case "flap":
                for (let flap = 0; flap < flaps; flap++) agenda.in(flap * 700, () => this.cut(link, false, 350))
                return
            case "slow":
                world.setDelay(link, Math.max(20, Math.round(link.delay * random.between(0.3, 3))))
                return
            case "deaf":
                world.trace.say(agenda.nowMs, () => `no reservation gets through between ${link.a.id} and ${link.b.id}`)
                link.there.deafUntilMs = agenda.nowMs + lastsMs
                if (random.chance(0.7)) link.back.deafUntilMs = agenda.nowMs + lastsMs
                return
        }
    }

    private cut(link: World["links"][number], silent: boolean, lastsMs: number): void {
        const { world } = this
        const { agenda, trace } = world
        if (!link.isWhole) return
        trace.say(agenda.nowMs, () => `${link.a.id} - ${link.b.id} is cut${silent ? " silently" : ""}`)
        link.isWhole = false
        world.breakLink(link, silent)
        this.heal(lastsMs, () => {
            link.isWhole = true
            world.joinLink(link)
        })
    }

    private heal(afterMs: number, act: () => void): void {
        const { agenda, scenario } = this.world
        // It stays as it is.
        if (!scenario.heals && agenda.nowMs + afterMs > scenario.busyMs) return
        this.open++
        agenda.in(afterMs, () => {
            this.open--
            act()
        })
    }
}
