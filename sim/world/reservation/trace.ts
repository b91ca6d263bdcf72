/**
 * The story of a run: a hash over everything that happened, and for people, when asked for, one line for each event.
 *
 * Owns the words. The hash takes numbers only, so that it costs next to nothing; the lines are made only when somebody reads them.
 */

import type { ReservationMessage } from "../../../protocol/reservation.ts"
import type { ReservationEffect, ReservationEvent } from "../../../servers/routing/reservation/model.ts"
import type { SimulatedServer } from "./server.ts"

type Told = ReservationEffect & { type: "tree" | "active" | "refused" | "degraded" }

/** Takes a line of the story. */
export type Reader = (line: string) => void

const messageCodes: Record<ReservationMessage["t"], number> = {
    req: 1,
    resv: 2,
    rerr: 3,
    prune: 4,
    tear: 5,
    patherr: 6,
    conf: 7,
    refresh: 8,
    rack: 9,
    alive: 10,
}

const eventCodes: Partial<Record<ReservationEvent["type"], number>> = {
    wish: 21,
    drop: 22,
    message: 24,
    linkDown: 26,
    topology: 27,
    tick: 28,
}

/** Keep-alives are most of the messages and tell the least: not in the story unless `everything`. */
const keepAlives = new Set<ReservationMessage["t"]>(["refresh", "rack", "alive"])

export class Trace {
    private low = 0x811c9dc5
    private high = 0x2545f491

    constructor(
        private readonly reader?: Reader,
        private readonly everything = false,
    ) {}

    /** 16 hexadecimal digits over all that happened so far. */
    hash(): string {
        const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0")
        return hex(this.high) + hex(this.low)
    }

    /** Something that is no event of a core. */
    say(nowMs: number, words: () => string): void {
        this.mix(nowMs, 40, 0)
        if (this.reader) this.line(nowMs, words())
    }

    event(nowMs: number, server: SimulatedServer, event: ReservationEvent): void {
        if (event.type !== "message") {
            this.mix(nowMs, eventCodes[event.type] ?? 20, server.index)
            if (this.reader && (event.type === "wish" || event.type === "drop"))
                this.line(nowMs, eventText(server, event))
            return
        }
        const { message, from } = event
        this.mix(
            nowMs,
            messageCodes[message.t] + message.ep * 16,
            server.index + 64 * tail(from) + 4096 * tail(message.sid),
        )
        if (!this.reader || (!this.everything && keepAlives.has(message.t))) return
        this.line(nowMs, `${from} -> ${server.id}  ${messageText(message)}`)
    }

    effect(nowMs: number, server: SimulatedServer, effect: Told): void {
        this.mix(nowMs, 30 + effect.type.length, server.index + 4096 * tail(effect.sid) + effect.ep)
        if (this.reader) this.line(nowMs, `${server.id}  ${effectText(effect)}`)
    }

    lost(nowMs: number, from: SimulatedServer, to: SimulatedServer, message: ReservationMessage): void {
        this.mix(nowMs, 41, from.index)
        if (this.reader) this.line(nowMs, `${from.id} -> ${to.id}  LOST ${messageText(message)}`)
    }

    /** A message of the link-state databases; too many to tell. */
    flood(nowMs: number, from: SimulatedServer, to: SimulatedServer): void {
        this.mix(nowMs, 42, from.index + 64 * to.index)
    }

    private line(nowMs: number, words: string): void {
        this.reader?.(`${(nowMs / 1000).toFixed(5).padStart(10)} s  ${words}`)
    }

    private mix(timeMs: number, a: number, b: number): void {
        let low = this.low ^ ((timeMs * 1000) | 0)
        low = Math.imul(low ^ (low >>> 15), 0x85ebca6b) ^ a
        low = Math.imul(low ^ (low >>> 13), 0xc2b2ae35) ^ b
        this.high = (Math.imul(this.high, 31) + low) | 0
        this.low = low ^ (low >>> 16)
    }
}

/** The number at the end of a name such as rs12 or s3. */
function tail(name: string): number {
    let number = 0
    for (let i = 0; i < name.length; i++) {
        const digit = name.charCodeAt(i) - 48
        if (digit >= 0 && digit <= 9) number = number * 10 + digit
    }
    return number
}

/** Epochs count from 65536 times the version: 3.2 is the second attempt of version 3. */
function epochText(ep: number): string {
    return `${Math.floor(ep / 65536)}.${ep % 65536}`
}

function messageText(message: ReservationMessage): string {
    const name = `${message.t.toUpperCase()} ${message.sid}/${epochText(message.ep)}`
    switch (message.t) {
        case "req": {
            const { dests, usageCount, delaySoFar, tree, bandwidth } = message
            const to = dests.map(({ id }) => id).join(" ")
            const how = tree ? `tree ${tree.map(({ rs, parent }) => `${parent}>${rs}`).join(" ")}` : "window"
            return `${name} for ${to}, ${bandwidth} kbit/s, usage count ${usageCount}, ${delaySoFar / 100} ms so far, ${how}`
        }
        case "resv": {
            const got = message.dests.map(({ id, bandwidth, dsp }) => {
                const short = [...(bandwidth ? [] : ["bandwidth"]), ...(dsp ? [] : ["DSP"])]
                return short.length > 0 ? `${id} (no ${short.join(", no ")})` : id
            })
            return `${name} of ${got.join(" ")}${message.label ? `, label ${message.label}` : ", no child"}`
        }
        case "rerr":
            return `${name} ${message.reason}`
        case "patherr":
            return `${name} ${message.from}>${message.to} ${message.reason}`
        case "conf":
        case "refresh":
            return `${name}${message.active ? " active" : ""}`
        case "alive":
            return `${name} ${message.dest}, by ${message.via.join(" ") || "itself"}`
        default:
            return name
    }
}

function eventText(server: SimulatedServer, event: ReservationEvent & { type: "wish" | "drop" }): string {
    if (event.type === "drop") return `group server: ${event.sid} does not start from ${server.id} any more`
    const { sid, version, destinations, bandwidthKbps, dspUnits } = event.wish
    const to = destinations.map(({ rs, dspUnits }) => `${rs} (${dspUnits})`).join(" ")
    return `group server: ${sid} version ${version} from ${server.id} (${dspUnits}) to ${to}, ${bandwidthKbps} kbit/s`
}

function effectText(effect: Told): string {
    const name = `${effect.sid}/${epochText(effect.ep)}`
    switch (effect.type) {
        case "tree": {
            const branches = effect.branches.map(
                ({ peer, labelIn, labelOut }) => `${peer} (${labelIn} in, ${labelOut} out)`,
            )
            return `media of ${name}: ${branches.join(", ") || "none"}${effect.transit ? ", in transit" : ""}`
        }
        case "active":
            return `${name} is ACTIVE: ${effect.tree.map(({ rs, parent }) => `${parent}>${rs}`).join(" ")}`
        default: {
            const short = effect.short.map(({ rs, reason, at, to }) => `${rs} ${reason} at ${at}${to ? `>${to}` : ""}`)
            return `${name} is ${effect.type.toUpperCase()}: ${short.join(", ")}`
        }
    }
}
