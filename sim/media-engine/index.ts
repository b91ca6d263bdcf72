/**
 * Makes the media engine of one simulated board: the engine itself and its Jacdac face, ready to be put on the board's bus.
 * Owns the wiring and the files of microphone and speaker. See `interface.ts` for how it is used.
 */

import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { soundRate } from "../../media/codec.ts"
import { success } from "../../media/outcome.ts"
import { loadWav } from "../../media/wav.ts"
import { Engine } from "./engine.ts"
import type { MediaEngineOptions, OwnMediaEngine, Recording } from "./interface.ts"
import { jacdac } from "./jacdac.ts"
import { MediaEngineServer, mediaEngineClass } from "./server.ts"
import { Speaker } from "./speaker.ts"

export type * from "./interface.ts"

const recordSecondsDefault = 120
const leadSilenceMsMax = 600_000

export function createMediaEngine(options: MediaEngineOptions): OwnMediaEngine {
    knowTheService(options.services)
    let server: MediaEngineServer | undefined
    const engine = new Engine({
        ipAddress: options.ipAddress,
        port: options.port,
        recordSeconds: options.recordSeconds ?? recordSecondsDefault,
        clockPpm: options.clockPpm ?? 0,
        underlay: {
            delaysMs: options.delaysMs ?? {},
            jitterMs: options.jitterMs ?? 0,
            lossPercent: options.lossPercent ?? 0,
            seed: options.seed ?? 1,
        },
        onEvent: event => server?.tell(event),
        ...(options.log ? { log: options.log } : {}),
    })
    server = new MediaEngineServer(engine, options.instanceName)
    engine.source = options.soundCard
    engine.speaker = options.soundCard

    const closeSpeaker = async () => {
        const speaker = engine.speaker
        engine.speaker = undefined
        return speaker ? await speaker.close() : success(undefined)
    }
    return {
        server,
        start: () => engine.start(),
        silence() {
            engine.close()
            engine.muted = true
            server?.tell({ type: "changed" })
        },
        async stop() {
            await engine.stop()
            await closeSpeaker()
        },
        async setMicrophone(file, { loop = false, leadSilenceMs = 0 } = {}) {
            if (file === null) {
                engine.microphone.start(new Int16Array(0), false, 0)
                return success({ durationMs: 0 })
            }
            const wav = await loadWav(file, soundRate)
            if (!wav.ok) return wav
            const leadMs = Math.max(0, Math.min(leadSilenceMsMax, leadSilenceMs))
            engine.microphone.start(wav.value.samples, loop, Math.round((leadMs * soundRate) / 1000))
            return success({ durationMs: (wav.value.samples.length * 1000) / soundRate })
        },
        async setSpeaker(file) {
            const closed = await closeSpeaker()
            if (!closed.ok) return closed
            if (file === null) return success(undefined)
            const opened = await Speaker.open(file, soundRate)
            if (!opened.ok) return opened
            engine.speaker = opened.value
            return success(undefined)
        },
        setDelays: delaysMs => engine.underlay.setDelays(delaysMs),
        recording: (): Recording => ({
            rate: soundRate,
            timeOriginMs: performance.timeOrigin,
            captured: engine.captured.stretchesKept(),
            played: engine.played.stretchesKept(),
        }),
        clearRecording() {
            engine.captured.clear()
            engine.played.clear()
        },
        statistics: () => engine.statistics(),
    }
}

/** jacdac-ts makes servers only of services that it knows. The specs come from the compiler that makes the firmware. */
export function knowTheService(services: jdspec.ServiceSpec[] | undefined): void {
    if (jacdac.serviceSpecificationFromClassIdentifier(mediaEngineClass)) return
    jacdac.loadServiceSpecifications(services ?? readSpecs())
    if (!jacdac.serviceSpecificationFromClassIdentifier(mediaEngineClass))
        throw new Error("services/media-engine.md is not among the compiled services; build the firmware first")
}

function readSpecs(): jdspec.ServiceSpec[] {
    for (const folder of [".build", ".devicescript"]) {
        const file = fileURLToPath(new URL(`../../${folder}/services.json`, import.meta.url))
        if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"))
    }
    return []
}
