/**
 * The rooms of the demo: each with a person at the panel, and what happens on the boards, kept from the first event on.
 * Owns the event stream of the simulator for the time of the demo. Never decides whether a step succeeded.
 */
import type { SimClient } from "../../sim/client.ts"
import type { BoardEvent } from "../../sim/events.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { fromSim } from "../system/sim.ts"
import { Person } from "./person.ts"

export type Phase = Extract<BoardEvent, { type: "phase" }>["phase"]

export interface Room {
    id: string
    name: string
    person: Person
}

export interface Seen {
    atMs: number
    server: string
    session: string
}

export class Rooms {
    readonly sim: SimClient
    readonly rooms: Room[]
    private readonly phases: (Seen & { board: string; phase: Phase })[] = []
    private readonly wakes = new Set<() => void>()
    private close: () => void = () => {}

    constructor(sim: SimClient, boards: { id: string; name: string }[]) {
        this.sim = sim
        this.rooms = boards.map(({ id, name }) => ({
            id,
            name,
            person: new Person(name, {
                screen: async () => {
                    const display = fromSim(await sim.screen(id))
                    return display.ok ? success(display.value.lines) : display
                },
                press: async button => {
                    const pressed = fromSim(await sim.press(id, button))
                    return pressed.ok ? success(pressed.value.atMs) : pressed
                },
                turn: async steps => {
                    const turned = fromSim(await sim.turn(id, steps))
                    return turned.ok ? success(undefined) : turned
                },
            }),
        }))
    }

    /** Begins to listen; nothing after this is missed. */
    async listen(): Promise<Outcome<undefined>> {
        const stream = fromSim(await this.sim.events({ types: ["phase"] }))
        if (!stream.ok) return stream
        this.close = () => stream.value.close()
        void (async () => {
            for await (const event of stream.value) {
                if (event.type !== "phase") continue
                const { board, phase, atMs, server, session } = event
                this.phases.push({ board, phase, atMs, server, session })
                for (const wake of [...this.wakes]) wake()
            }
        })()
        return success(undefined)
    }

    stop(): void {
        this.close()
    }

    /** When `board` came into `phase`, at `fromMs` or later on the simulator's clock. */
    async reached(board: string, phase: Phase, fromMs: number, withinMs: number): Promise<Outcome<Seen>> {
        const find = () => this.phases.find(one => one.board === board && one.phase === phase && one.atMs >= fromMs)
        const endMs = performance.now() + withinMs
        for (;;) {
            const seen = find()
            if (seen) return success(seen)
            const leftMs = endMs - performance.now()
            if (leftMs <= 0) break
            await new Promise<void>(resolve => {
                const wake = () => {
                    clearTimeout(timer)
                    this.wakes.delete(wake)
                    resolve()
                }
                const timer = setTimeout(wake, leftMs)
                this.wakes.add(wake)
            })
        }
        const last = this.phases.filter(one => one.board === board).at(-1)
        const display = fromSim(await this.sim.screen(board))
        const screen = display.ok ? display.value.lines : []
        return failure(
            "timeout",
            "not-reached",
            `${board} did not come to ${phase} in ${withinMs} ms; it is in ${last?.phase ?? "no phase"}`,
            {
                who: "maker",
                details: { board, screen, log: screen.map(line => `| ${line}`) },
            },
        )
    }
}
