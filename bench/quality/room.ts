/**
 * A room in a session of real routing servers: the simulator's media engine with a network of its own, and the signalling of an
 * endpoint. For benches.
 */

import { readLegKeys } from "../../media/leg-keys.ts"
import type { Stretch } from "../../media/measure.ts"
import { Engine } from "../../sim/media-engine/engine.ts"
import type { RoutingNetwork } from "../../test/control/network.ts"
import { loopbackAddress } from "../../test/support/addresses.ts"

const recordSeconds = 60

export interface Room {
    /** Speaks; what is said, and when its first sample is at the microphone. */
    say(samples: Int16Array): Stretch
    /** What the speaker has played since then, without a gap. */
    heardSince(atMs: number): Stretch
    leave(): Promise<void>
}

export async function enterRoom(
    network: RoutingNetwork,
    ep: string,
    rs: string,
    sid: string,
    leg: { jitterMs: number; lossPercent: number },
): Promise<Room> {
    const ipAddress = loopbackAddress()
    const engine = new Engine({
        ...{ ipAddress, port: 0, recordSeconds, clockPpm: 0 },
        underlay: { ...leg, delaysMs: {}, seed: 1 },
        onEvent: () => {},
    })
    const started = await engine.start()
    if (!started.ok) throw new Error(started.what)
    const endpoint = await network.endpoint(ep)
    await endpoint.attach(rs)
    const { ip, port } = engine.address
    const { verb, message } = await endpoint.request(rs, "join", { sid, ip, port })
    if (verb !== "done") throw new Error(`${ep} is refused: ${JSON.stringify(message)}`)
    engine.volume = 100
    engine.muted = false
    engine.open({ ...message, payloadType: message.pt, keys: readLegKeys(message.key) })
    return {
        say(samples) {
            const leadMs = 100
            const atMs = performance.now() + leadMs
            engine.microphone.start(samples, false, Math.round((leadMs * 16_000) / 1000))
            return { atMs, samples }
        },
        heardSince(atMs) {
            const last = engine.played.stretchesKept().at(-1)
            if (!last || last.atMs > atMs) throw new Error(`${ep} has not played all the time`)
            const from = Math.round(((atMs - last.atMs) * 16_000) / 1000)
            return { atMs, samples: last.samples.subarray(from) }
        },
        leave: () => engine.stop(),
    }
}
