/**
 * The audio module: the media engine of a real appliance, on a small Linux computer in the same enclosure. The simulator's
 * engine with a sound card in place of WAV files, serving services/media-engine.md to the board over its serial port.
 *
 * Owns the wiring, and that the microphone is off whenever the board that holds the mute is not heard. Never decides about
 * calls: the firmware does.
 */

import { createHash } from "node:crypto"
import { networkInterfaces } from "node:os"
import { failure, type Outcome, success } from "../media/outcome.ts"
import { jacdac } from "../serial/jacdac.ts"
import { sharePath } from "../serial/share-path.ts"
import { createMediaEngine } from "../sim/media-engine/index.ts"
import { BoardPort } from "./board-port.ts"
import { SoundCard } from "./sound-card.ts"
import { notifySystemd, watchdogIntervalMs } from "./systemd.ts"

export interface AudioModuleOptions {
    /** Serial port of the board; it may come later. */
    port: string
    capture: string
    playback: string
    /** IPv4 address for media; found when absent. */
    ipAddress?: string
    udpPort: number
    log: (event: string, details: Record<string, unknown>) => void
}

export interface AudioModule {
    ip: string
    udpPort: number
    /** Where other programs come onto the port. */
    sharePath: string
    state(): {
        plugged: boolean
        boardHeard: boolean
        capturing: boolean
        playing: boolean
        muted: boolean
        open: boolean
    }
    stop(): Promise<void>
}

export type AudioModuleRefusal = "no-address" | "address-in-use" | "address-unavailable" | "no-share"

/** Boards announce themselves each half second. */
const heardMs = 2500
const lookMs = 250

export async function startAudioModule(options: AudioModuleOptions): Promise<Outcome<AudioModule, AudioModuleRefusal>> {
    const { log } = options
    const ipAddress = options.ipAddress ?? ownAddress()
    if (!ipAddress)
        return failure("no-address", "this machine has no IPv4 address but its own loopback: give --ip", "operator")
    const soundCard = new SoundCard({ capture: options.capture, playback: options.playback, log })
    const engine = createMediaEngine({ ipAddress, port: options.udpPort, recordSeconds: 0, soundCard, log })
    const started = await engine.start()
    if (!started.ok) {
        await soundCard.close()
        const code = started.code === "address-in-use" ? "address-in-use" : "address-unavailable"
        return failure(code, started.what, started.who)
    }

    let heardAtMs = -heardMs
    const bus = new jacdac.JDBus([], { client: false, disableRoleManager: true })
    const bridge = jacdac.createProxyBridge(frame => port?.send(frame))
    const deviceId = createHash("sha256").update(`audio module ${options.port}`).digest("hex").slice(0, 16)
    const share = sharePath(options.port)
    let port: BoardPort | undefined
    try {
        port = await BoardPort.start({
            path: options.port,
            sharePath: share,
            onFrame(frame) {
                heardAtMs = performance.now()
                bridge.receiveFrameOrPacket(frame)
            },
            onPlugged(plugged, why) {
                log(plugged ? "board plugged in" : "board unplugged", { port: options.port, why })
                if (!plugged) engine.silence()
            },
        })
    } catch (error) {
        await engine.stop()
        await bus.stop()
        return failure("no-share", `cannot share the port at ${share}: ${(error as Error).message}`, "operator")
    }
    const opened = port
    bus.addBridge(bridge)
    bus.addServiceProvider(new jacdac.JDServerServiceProvider("parley-audio-module", [engine.server], { deviceId }))

    const isHeard = () => opened.plugged && performance.now() - heardAtMs < heardMs
    let wasHeard = false
    const look = setInterval(() => {
        const heard = isHeard()
        // A person who presses mute now would press it in vain.
        if (wasHeard && !heard) {
            engine.silence()
            log("board silent", { port: options.port })
        }
        wasHeard = heard
    }, lookMs)
    const { ip, port: udpPort } = started.value
    notifySystemd("READY=1")
    const everyMs = watchdogIntervalMs()
    const watchdog = everyMs === undefined ? undefined : setInterval(() => notifySystemd("WATCHDOG=1"), everyMs)
    return success({
        ip,
        udpPort,
        sharePath: share,
        state() {
            const { muted, open } = engine.statistics()
            return { plugged: opened.plugged, boardHeard: isHeard(), ...soundCard.state, muted, open }
        },
        async stop() {
            clearInterval(look)
            clearInterval(watchdog)
            notifySystemd("STOPPING=1")
            bridge.bus = undefined as never
            await bus.stop()
            await opened.close()
            await engine.stop()
        },
    })
}

/** The first IPv4 address by which others reach this machine. */
function ownAddress(): string | undefined {
    const all = Object.values(networkInterfaces()).flatMap(list => list ?? [])
    return all.find(one => one.family === "IPv4" && !one.internal)?.address
}
