/**
 * A media engine in a virtual world: the real Jacdac face of one, over an engine that has no socket and no sound. Probes are
 * answered by the round trips that stand in `roundTripsMs`.
 */

import { success } from "../../../media/outcome.ts"
import type { Clock } from "../../clock.ts"
import { knowTheService } from "../../media-engine/index.ts"
import type { MediaEngine } from "../../media-engine/interface.ts"
import { MediaEngineServer, type ServedEngine } from "../../media-engine/server.ts"

export class VirtualEngine implements ServedEngine {
    muted = true
    volume = 50
    isOpen = false
    readonly address = { ip: "127.0.2.1", port: 5004 }
    /** By address; a server without one does not answer. */
    roundTripsMs: Record<string, number> = { "127.0.1.11": 4, "127.0.1.12": 12 }
    readonly face: MediaEngine
    readonly #clock: Clock
    readonly #server: MediaEngineServer

    constructor(clock: Clock, services: jdspec.ServiceSpec[]) {
        this.#clock = clock
        knowTheService(services)
        this.#server = new MediaEngineServer(this)
        this.face = this.#asMediaEngine()
    }

    open(): void {
        this.isOpen = true
    }

    close(): void {
        this.isOpen = false
    }

    probe(tag: number, ip: string, _port: number, count: number): void {
        const rttMs = this.roundTripsMs[ip]
        this.#clock.after(rttMs ?? 500, () => {
            const answered = rttMs === undefined ? 0 : count
            this.#server.tell({ type: "probed", tag, minRttMs: rttMs ?? 0, jitterMs: 0, answered, load: 0 })
        })
    }

    watch(): void {}

    /** Of the engine that it stands for, what the face reads. */
    statistics() {
        return {
            inputDb: -60,
            outputDb: -60,
            sent: 0,
            received: 0,
            lost: 0,
            late: 0,
            concealed: 0,
            jitterMs: 0,
            delayMs: 0,
        }
    }

    #asMediaEngine(): MediaEngine {
        const nothing = async () => success(undefined)
        return {
            server: this.#server,
            start: async () => {
                this.close()
                this.#server.reset()
                return success(this.address)
            },
            stop: async () => this.close(),
            setMicrophone: async () => success({ durationMs: 0 }),
            setSpeaker: nothing,
            setDelays: () => {},
            recording: () => ({ rate: 16000, timeOriginMs: 0, captured: [], played: [] }),
            clearRecording: () => {},
            statistics: () => ({
                ...this.statistics(),
                open: this.isOpen,
                muted: this.muted,
                volume: this.volume,
                duplicates: 0,
                refused: 0,
                ticks: { done: 0, late: 0, skipped: 0, latenessMaxMs: 0 },
            }),
        }
    }
}
