/** I8: once the network is quiet, connected servers have equal link-state databases, and next hops lead everywhere without a loop. */

import { type Checker, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class LinkStateChecker implements Checker {
    readonly name = "I8"

    constructor(private readonly world: World) {}

    onQuiet(): void {
        const seen = new Set<SimulatedServer>()
        for (const server of this.world.servers) {
            if (!server.isAlive || seen.has(server)) continue
            const component = this.componentOf(server)
            for (const member of component) seen.add(member)
            this.areEqual(component)
            for (const target of component) this.isLoopFree(component, target)
        }
    }

    private componentOf(start: SimulatedServer): SimulatedServer[] {
        const component = [start]
        for (const server of component)
            for (const { link, to } of server.directions.values())
                if (link.isUsable && !component.includes(to)) component.push(to)
        return component
    }

    /** What was heard of servers that cannot be reached any more is forgotten only by its age, and may differ. */
    private areEqual(component: SimulatedServer[]): void {
        const text = ({ state }: SimulatedServer) =>
            component.map(({ id }) => JSON.stringify(state.database.get(id)?.advertisement)).join("\n")
        const first = text(component[0])
        for (const server of component)
            if (text(server) !== first)
                throw new Violation(this.name, `${server.id} and ${component[0].id} have other link-state databases`)
    }

    private isLoopFree(component: SimulatedServer[], target: SimulatedServer): void {
        for (const start of component) {
            let at = start
            for (let hops = 0; at !== target; hops++) {
                const next = at.table.route(target.id)?.nextHop
                if (next === undefined) throw new Violation(this.name, `${at.id} has no route to ${target.id}`)
                if (hops > component.length)
                    throw new Violation(this.name, `next hops from ${start.id} to ${target.id} lead in a circle`)
                at = this.world.serverOf.get(next)!
            }
        }
    }
}
