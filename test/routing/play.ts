/** Plays events to the core in virtual time and keeps what it said, in a form that tests can read. */

import type { Count } from "../../protocol/link.ts"
import type { ServerSession } from "../../protocol/servers.ts"
import type { Effect, EndpointRequest, Event, GroupMessage, State } from "../../servers/routing/core/model.ts"
import { initialState, step } from "../../servers/routing/core/step.ts"
import { Ledger } from "../../servers/routing/reservation/ledger.ts"
import type { Branch } from "../../servers/routing/reservation/model.ts"

export class Play {
    nowMs = 1000
    /** Keys given out so far. */
    keys = 0
    readonly state: State
    readonly effects: Effect[] = []
    /** Whether every wish for a tree comes true at once, as far as the core is told. */
    grants = true

    constructor(id = "rs-a", dspUnits = 8, boot = 3) {
        const ports = { ip: "127.0.1.11", linkPort: 7400, mediaPort: 7500 }
        this.state = initialState(
            { id, ...ports, fingerprint: "f".repeat(64), boot, dspUnits },
            42,
            new Ledger(() => 0, dspUnits),
            () => `key-${++this.keys}`.padEnd(80, "A"),
        )
    }

    /** The effects of one event. */
    feed(event: Event): Effect[] {
        const effects = step(this.state, event, this.nowMs)
        this.effects.push(...effects)
        if (this.grants)
            for (const effect of [...effects])
                if (effect.type === "reserve" && effect.event.type === "wish")
                    effects.push(...this.active(effect.event.wish.sid))
        return effects
    }

    /** The reservation says that the tree of a session that starts here is active. */
    active(sid = "s1"): Effect[] {
        return this.feed({ type: "reserved", outcome: { type: "active", sid, ep: 1, tree: [] } })
    }

    /** The reservation says which links the session's tree has here, as [neighbour, label in, label out]. */
    tree(links: [string, number, number][], sid = "s1", transit = false): Effect[] {
        const branches: Branch[] = links.map(([peer, labelIn, labelOut]) => ({ peer, labelIn, labelOut }))
        return this.feed({ type: "tree", sid, branches, transit })
    }

    count(peer: string, people: number, sid = "s1"): Effect[] {
        const message: Count = { k: "count", sid, people }
        return this.feed({ type: "control", peer, message })
    }

    /** Lets time pass in ticks of 100 ms. */
    pass(ms: number): Effect[] {
        const effects: Effect[] = []
        for (const end = this.nowMs + ms; this.nowMs < end; ) {
            this.nowMs += 100
            effects.push(...this.feed({ type: "tick" }))
        }
        return effects
    }

    group(content: GroupMessage): Effect[] {
        return this.feed({ type: "fromGroup", content })
    }

    ask(ep: string, content: EndpointRequest): Effect[] {
        return this.feed({ type: "fromEndpoint", ep, content })
    }

    attach(ep: string, boot = 1): Effect[] {
        return this.ask(ep, { verb: "attach", message: { id: 1, boot } })
    }

    join(ep: string, sid = "s1", id = 2): Effect[] {
        return this.ask(ep, { verb: "join", message: { id, sid, ip: "127.0.2.1", port: 6000 } })
    }

    /** Connects and registers. */
    register(): Effect[] {
        const hello = requests(this.feed({ type: "connected" }), "hello")[0]
        return this.group({ verb: "done", message: { re: hello.id, nowMs: 1_800_000_000_000 } })
    }

    session(changes: Partial<ServerSession> = {}): Effect[] {
        const base: ServerSession = {
            sid: "s1",
            n: 1,
            state: "open",
            source: "rs-a",
            end: 1_800_003_600,
            members: [member("ep-a", "rs-a"), member("ep-b", "rs-b")],
        }
        return this.group({ verb: "session", message: { ...base, ...changes } })
    }
}

export const member = (ep: string, rs?: string) => ({ ep, name: ep, ...(rs && { rs }) })

/** Messages to an endpoint as [verb, message]. */
// biome-ignore lint/suspicious/noExplicitAny: tests know what they expect
export function told(effects: Effect[], ep: string): [string, any][] {
    return effects.flatMap(effect =>
        effect.type === "toEndpoint" && effect.ep === ep ? [[effect.verb, effect.message] as [string, object]] : [],
    )
}

// biome-ignore lint/suspicious/noExplicitAny: tests know what they expect
export function requests(effects: Effect[], verb: string): any[] {
    return effects.flatMap(effect => (effect.type === "toGroup" && effect.verb === verb ? [effect.message] : []))
}

export function of<T extends Effect["type"]>(effects: Effect[], type: T): Extract<Effect, { type: T }>[] {
    return effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type)
}
