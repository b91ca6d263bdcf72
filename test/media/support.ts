/**
 * What the media tests share: engines with their events, planes chained by links in the process.
 * Owns nothing that outlives a test: everything is closed by the test's `after`.
 */

import assert from "node:assert/strict"
import { setTimeout as delay } from "node:timers/promises"
import type { CodecName } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { type Measurement, measure } from "../../media/measure.ts"
import { raisePriority } from "../../media/priority.ts"
import { MediaPlane, type MediaPlaneOptions } from "../../servers/routing/media/plane.ts"
import { Engine, type EngineEvent } from "../../sim/media-engine/engine.ts"
import { legKeys, sessionKeys } from "./keys.ts"
import { part } from "./speech.ts"

// Test files run side by side on few processors: what is measured here is Parley, not the queue for them.
raisePriority()

interface Closing {
    after(fn: () => Promise<void>): void
}

export interface TestEngine {
    engine: Engine
    events: EngineEvent[]
    ip: string
    port: number
    /** Waits for an event of this type, and fails when none comes for 30 s. */
    next<Type extends EngineEvent["type"]>(type: Type): Promise<Extract<EngineEvent, { type: Type }>>
}

export async function startEngine(
    context: Closing,
    ip: string,
    delaysMs: Record<string, number> = {},
    jitterMs = 0,
    lossPercent = 0,
    clockPpm = 0,
): Promise<TestEngine> {
    const events: EngineEvent[] = []
    const waiting = new Set<() => void>()
    const engine = new Engine({
        ipAddress: ip,
        port: 0,
        recordSeconds: 30,
        clockPpm,
        underlay: { delaysMs, jitterMs, lossPercent, seed: 11 },
        onEvent(event) {
            events.push(event)
            for (const wake of waiting) wake()
        },
    })
    const started = await engine.start()
    assert.ok(started.ok, "the engine has started")
    context.after(() => engine.stop())
    return {
        engine,
        events,
        ip,
        port: started.value.port,
        async next(type) {
            const deadline = AbortSignal.timeout(30_000)
            for (;;) {
                const index = events.findIndex(event => event.type === type)
                if (index >= 0) return events.splice(index, 1)[0] as never
                await new Promise<void>((resolve, reject) => {
                    waiting.add(resolve)
                    deadline.addEventListener("abort", () => reject(new Error(`no event ${type}`)))
                })
            }
        },
    }
}

export interface TestPlane {
    plane: MediaPlane
    ip: string
    port: number
}

let keysGiven = 0
/** Of all planes of this process: whoever links them shares keys with all. */
const allIps: string[] = []

/** Planes on these addresses; every two of them can exchange packets of links. */
export async function startPlanes(
    context: Closing,
    ips: string[],
    loadPercent = () => 7,
    onSpeaker?: MediaPlaneOptions["onSpeaker"],
): Promise<TestPlane[]> {
    const planes: TestPlane[] = []
    allIps.push(...ips)
    for (const ip of ips) {
        const plane = new MediaPlane({
            ip,
            port: 0,
            loadPercent,
            ...(onSpeaker ? { onSpeaker } : {}),
            sendOnLink(peer, label, packet) {
                const copy = Buffer.from(packet)
                setImmediate(() => planes.find(other => other.ip === peer)?.plane.receiveFromLink(ip, label, copy))
            },
        })
        const started = await plane.start()
        assert.ok(started.ok, "the plane has started")
        context.after(() => plane.close())
        planes.push({ plane, ip, port: started.value.port })
    }
    return planes
}

/** A link of the session's tree between two planes, with its labels. */
export function connect(session: string, a: TestPlane, b: TestPlane, label: number, codec: CodecName = "pcmu"): void {
    a.plane.setSessionKeys(session, sessionKeys(a.ip, allIps))
    b.plane.setSessionKeys(session, sessionKeys(b.ip, allIps))
    assert.ok(a.plane.addLink({ session, peer: b.ip, labelOut: label, labelIn: label + 1, codec }).ok, "linked")
    assert.ok(b.plane.addLink({ session, peer: a.ip, labelOut: label + 1, labelIn: label, codec }).ok, "linked back")
}

/** Joins `member` to the session at `plane` and opens its leg. */
export function join(
    session: string,
    member: TestEngine,
    plane: TestPlane,
    ssrc: number,
    codec: CodecName = "pcmu",
): void {
    const { ip, port } = member
    // New ones at each join, as a server gives them.
    const keys = legKeys(++keysGiven)
    const leg = { session, endpoint: ip, ssrc, remoteIp: ip, remotePort: port, codec, keys }
    assert.ok(plane.plane.addLeg(leg).ok, "leg added")
    const { payloadType } = codecs[codec]
    member.engine.open({ ssrc, ip: plane.ip, port: plane.port, payloadType, frameMs: 20, keys })
}

/** Real time passes: the media under test run by the clock. */
export function passes(ms: number): Promise<void> {
    return delay(ms)
}

/** What `listener` heard of what `speaker` said from `fromMs` to `toMs`. */
export function compare(speaker: TestEngine, listener: TestEngine, fromMs: number, toMs: number): Measurement {
    const said = part(speaker.engine.captured.stretchesKept(), fromMs, toMs)
    const heard = part(listener.engine.played.stretchesKept(), fromMs, toMs + 700)
    const result = measure(said, heard, { maxDelayMs: 600 })
    assert.ok(result.ok, result.ok ? "" : result.what)
    return result.value
}

/**
 * Tries a measurement up to three times and passes when one passes: another process may take the processor away from one try,
 * while what is wrong with Parley is wrong in all of them.
 */
export async function bestOfThree(attempt: (round: number) => Promise<void>): Promise<void> {
    for (let round = 1; ; round++) {
        try {
            return await attempt(round)
        } catch (error) {
            if (round === 3) throw error
        }
    }
}
