/**
 * What the parts of the appliance share: who it is, the time, requests under way, and the effects that the outside
 * is to carry out. Never acts itself: `runner.ts` drains `effects`.
 */

import type { Crash } from "../../protocol/messages"
import { endpointToServerTopic, toGroupTopic } from "../../protocol/topics"
import { Clock } from "../clock"
import { toJson } from "../json"
import { Requests } from "../requests"

export type Effect =
    | { type: "publish"; topic: string; payload: string; retain: boolean }
    | { type: "open"; ssrc: number; ip: number; port: number; payloadType: number; frameMs: number; key: string }
    | { type: "close" }
    | { type: "probe"; tag: number; ip: number; port: number }
    /** Port 0 stops watching. */
    | { type: "watch"; ip: number; port: number }
    | { type: "muted"; isMuted: boolean }
    | { type: "volume"; level: number }
    /** Keep what `Appliance.kept(key)` says when its turn has come. */
    | { type: "save"; key: string }

/** What came of something that a person asked for. */
export interface Outcome {
    kind: "done" | "refused" | "expired"
    verb: string
    /** Codes of protocol/reasons.ts, "" when done. */
    reason: string
    who: string
    /** Unix seconds: the nearest time that fits (refused) or the start (booked); 0 when there is none. */
    timeSeconds: number
    atMs: number
}

export interface Identity {
    /** "" when the appliance is not provisioned. */
    id: string
    boot: number
    board: string
    firmware: string
    zoneMinutes: number
    /** How the last life ended, if it did by itself, until the group server knows. */
    crash?: Crash
}

export class Context {
    /** The device's own milliseconds, as of the event in hand. */
    nowMs = 0
    clock = new Clock()
    requests = new Requests()
    effects: Effect[] = []
    outcome: Outcome | undefined

    isMediaUp = false
    /** Where the media engine listens; "" while it is not known. */
    mediaIp = ""
    mediaPort = 0
    /** What it can carry; undefined while it has not said. */
    mediaCodecs: string | undefined

    /** `random` gives numbers in 0..1. */
    constructor(
        public identity: Identity,
        private random: () => number,
    ) {}

    /** Server time in Unix seconds, or -1 while it is not known. */
    nowSeconds(): number {
        return this.clock.isKnown() ? this.clock.nowSeconds(this.nowMs) : -1
    }

    /** Starts a request; `server` "" is the group server. A newer one of the same verb replaces an older. */
    ask(server: string, verb: string, body: any): void {
        this.requests.drop(verb)
        this.requests.open(this.nowMs, server, verb, body)
    }

    /** Publishes the requests whose time has come. */
    flush(): void {
        const id = this.identity.id
        for (const request of this.requests.due(this.nowMs)) {
            const { server, verb } = request
            const topic = server === "" ? toGroupTopic("ep", id, verb) : endpointToServerTopic(id, server, verb)
            this.effects.push({ type: "publish", topic, payload: toJson(request.body), retain: false })
        }
    }

    /** A delay before the next attempt: doubles with each, never in step with other appliances. */
    backoffMs(attempt: number): number {
        const ceilingMs = Math.min(10000, 500 * 2 ** attempt)
        return Math.round(ceilingMs * (0.5 + this.random() / 2))
    }

    tell(kind: "done" | "refused" | "expired", verb: string, reason: string, who: string, timeSeconds: number): void {
        this.outcome = { kind, verb, reason, who, timeSeconds, atMs: this.nowMs }
    }
}
