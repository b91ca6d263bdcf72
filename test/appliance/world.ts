/**
 * An appliance on Node with scripted servers and engine around it, under virtual time. The same pure code as on the board;
 * what is missing is the runner. Owns answering its effects; never decides what is right.
 */

import { usualAnswers } from "../../sim/world/appliance/answers.ts"
import { Appliance, type Kept } from "../../src/appliance/appliance.ts"
import type { Effect } from "../../src/appliance/context.ts"
import { Phase } from "../../src/appliance/phases.ts"
import { Button, Panel } from "../../src/panel/panel.ts"
import { viewOf } from "../../src/panel/view.ts"

export { Button, Phase }
export type Published = Extract<Effect, { type: "publish" }>

const serverMs = 1_760_000_000_000

export class World {
    appliance: Appliance
    panel: Panel
    nowMs = 1000
    /** Everything that it wanted, in order. */
    effects: Effect[] = []
    saved: Record<string, string> = {}
    /** Answers by verb; undefined: nobody answers. */
    answers: Record<string, (body: any, server: string) => any> = {}
    /** Round trips in microseconds by address; absent: no answer to probes. */
    roundTripsUs: Record<string, number> = { "127.0.1.11": 9000, "127.0.1.12": 2000, "127.0.1.13": 4000 }
    engine = { muted: true, volume: 50, open: false, ssrc: 0, opens: 0 }
    agendaVersion = 1
    sessions: any[] = []

    constructor(kept: Partial<Kept> = {}, id = "board-a") {
        const identity = { id, boot: 7, board: "room-panel", firmware: "test", zoneMinutes: 0 }
        this.appliance = new Appliance(
            identity,
            { agenda: [], session: "", muted: false, volume: 50, ...kept },
            () => 0.5,
        )
        this.panel = new Panel(this.appliance)
        this.appliance.context.nowMs = this.nowMs
        this.answers = {
            hello: () => ({ nowMs: serverMs + this.nowMs, name: "Room A" }),
            ...usualAnswers(() => serverMs + this.nowMs),
            candidates: () => ({
                list: ["11", "12", "13"].map(n => ({ rs: `rs-${n}`, ip: `127.0.1.${n}`, port: 7500, load: 0 })),
            }),
            attach: () => ({ load: 10 }),
            join: body => ({
                ...{ sid: body.sid, ip: "127.0.1.12", port: 7500, ssrc: 99, pt: 0, frameMs: 20, people: 2 },
                key: "k".repeat(80),
            }),
        }
    }

    seconds(): number {
        return Math.floor((serverMs + this.nowMs) / 1000)
    }

    phase(): Phase {
        return this.appliance.phase()
    }

    lines(): string[] {
        return viewOf(this.panel).text.split("\n")
    }

    screen(): string {
        return this.lines().join("\n")
    }

    /** Connected, attached, with a media engine, nothing booked. */
    ready(): this {
        this.event(a => a.mediaAppeared())
        this.event(a => a.mediaAddress("127.0.2.1", 5004))
        this.event(a => a.connected())
        return this
    }

    event(what: (appliance: Appliance) => void): void {
        this.appliance.context.nowMs = this.nowMs
        what(this.appliance)
        this.settle()
    }

    press(button: Button): void {
        this.event(() => this.panel.press(button))
    }

    turn(steps: number): void {
        this.event(() => this.panel.turn(steps))
    }

    /** Time passes in the quarter seconds of the runner. */
    pass(ms: number): void {
        for (const end = this.nowMs + ms; this.nowMs < end; ) {
            this.nowMs = Math.min(end, this.nowMs + 250)
            this.settle()
        }
    }

    push(peer: string, verb: string, body: any): void {
        const topic = `parley/v1/ep/${this.appliance.context.identity.id}/in/${peer}/${verb}`
        this.event(a => a.message(topic, Buffer.from(JSON.stringify(body))))
    }

    agenda(...sessions: any[]): void {
        this.sessions = sessions
        const list = sessions.map(s => ({
            title: "Weekly",
            from: "Room B",
            mine: 0,
            start: this.seconds() + 60,
            end: this.seconds() + 3600,
            state: "opening",
            ...s,
        }))
        this.push("group", "agenda", { n: this.agendaVersion++, nowMs: serverMs + this.nowMs, list, more: 0 })
    }

    published(verb: string): any[] {
        return this.effects
            .filter((e): e is Published => e.type === "publish" && e.topic.endsWith(`/${verb}`))
            .map(e => JSON.parse(e.payload))
    }

    /** Carries effects out until there are none, as runner, engine and servers would. */
    private settle(): void {
        for (let i = 0; i < 50; i++) {
            this.appliance.settle(this.nowMs)
            this.panel.tick()
            const effects = this.appliance.context.effects
            if (effects.length === 0) return
            this.appliance.context.effects = []
            for (const effect of effects) this.carryOut(effect)
        }
        throw new Error("the appliance does not come to rest")
    }

    private carryOut(effect: Effect) {
        this.effects.push(effect)
        switch (effect.type) {
            case "publish":
                return this.answer(effect)
            case "save":
                this.saved[effect.key] = this.appliance.kept(effect.key)
                return
            case "muted":
                this.engine.muted = effect.isMuted
                return
            case "volume":
                this.engine.volume = effect.level
                return
            case "open":
                this.engine.open = true
                this.engine.opens++
                this.engine.ssrc = effect.ssrc
                return
            case "close":
                this.engine.open = false
                return
            case "probe": {
                const address = `127.0.1.${effect.ip & 255}`
                const roundTripUs = this.roundTripsUs[address]
                if (roundTripUs === undefined) this.appliance.link.probed(effect.tag, 0, 0, 0, 0)
                else this.appliance.link.probed(effect.tag, roundTripUs, 100, 3, 10)
            }
        }
    }

    private answer(effect: Published) {
        const parts = effect.topic.split("/")
        const verb = parts[parts.length - 1]
        if (verb === "state") return
        const server = parts[5] === "rs" ? parts[6] : ""
        const body = JSON.parse(effect.payload)
        const handler = this.answers[verb] ?? (() => ({}))
        const answer = handler(body, server)
        if (answer === undefined) return
        const kind = answer.reason ? "refused" : "done"
        const topic = `parley/v1/ep/${parts[3]}/in/${server ? `rs/${server}` : "group"}/${kind}`
        this.appliance.message(topic, Buffer.from(JSON.stringify({ re: body.id, ...answer })))
    }
}
