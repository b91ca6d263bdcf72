/**
 * Microphone and speaker of the audio module: ALSA's own programs `arecord` and `aplay` (Debian package alsa-utils) as
 * children, 16 kHz mono.
 *
 * Owns the children, which come back after a card was pulled, and the sound between their clock and the engine's: what the
 * card gives too much is dropped, what it lacks is silence. Never mixes, never mutes.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { soundRate } from "../media/codec.ts"
import { type Outcome, success } from "../media/outcome.ts"
import type { SoundSink, SoundSource } from "../sim/media-engine/interface.ts"

export interface SoundCardOptions {
    /** Names of PCMs as ALSA knows them: "default", "plughw:1,0", "null". */
    capture: string
    playback: string
    log: (event: string, details: Record<string, unknown>) => void
}

const sampleBytes = 2
/** Held of what the microphone gave; more is dropped down to the second, so that nobody is heard late. */
const heldMaxMs = 120
const heldAfterDropMs = 40
/** A PCM that gives as fast as it is read (ALSA's null and file) is made to wait here. */
const pauseAtMs = 400
/** Written and not yet taken by the speaker; more is dropped. */
const unplayedMaxMs = 200
const restartMs = 1000
const lastWordsMs = 1000
const format = ["-q", "-t", "raw", "-f", "S16_LE", "-r", String(soundRate), "-c", "1"]

const bytesOf = (ms: number) => Math.round((ms * soundRate) / 1000) * sampleBytes

export class SoundCard implements SoundSource, SoundSink {
    /** Samples dropped and samples of silence put in, since the start. */
    dropped = 0
    missed = 0
    private readonly options: SoundCardOptions
    private held = Buffer.alloc(0)
    private recorder: ChildProcess | undefined
    private player: ChildProcess | undefined
    private readonly restarts = new Set<NodeJS.Timeout>()
    private closed = false

    constructor(options: SoundCardOptions) {
        this.options = options
        this.record()
        this.play()
    }

    /** Which of the two run: a card that was pulled does not. */
    get state(): { capturing: boolean; playing: boolean } {
        return { capturing: this.recorder !== undefined, playing: this.player !== undefined }
    }

    read(target: Int16Array, count: number): void {
        const surplus = this.held.length - bytesOf(heldMaxMs)
        if (surplus > 0) this.take(this.held.length - bytesOf(heldAfterDropMs))
        const given = Math.min(count, this.held.length / sampleBytes)
        for (let i = 0; i < given; i++) target[i] = this.held.readInt16LE(i * sampleBytes)
        target.fill(0, given, count)
        this.missed += count - given
        this.held = this.held.subarray(given * sampleBytes)
        this.recorder?.stdout?.resume()
    }

    skip(count: number): void {
        this.take(Math.min(count * sampleBytes, this.held.length))
    }

    write(_atMs: number, samples: Int16Array, count: number): void {
        const pipe = this.player?.stdin
        if (!pipe?.writable || pipe.writableLength > bytesOf(unplayedMaxMs)) return
        const bytes = Buffer.alloc(count * sampleBytes)
        for (let i = 0; i < count; i++) bytes.writeInt16LE(samples[i]!, i * sampleBytes)
        pipe.write(bytes)
    }

    async close(): Promise<Outcome<unknown, "not-writable">> {
        this.closed = true
        for (const timer of this.restarts) clearTimeout(timer)
        // The speaker may say the last of what it has.
        await Promise.all([ended(this.player, lastWordsMs), ended(this.recorder, 0)])
        return success(undefined)
    }

    private take(bytes: number): void {
        this.dropped += bytes / sampleBytes
        this.held = this.held.subarray(bytes)
    }

    private record(): void {
        const child = this.start("arecord", this.options.capture, () => {
            this.recorder = undefined
            this.record()
        })
        this.recorder = child
        child.stdout!.on("data", (bytes: Buffer) => {
            this.held = Buffer.concat([this.held, bytes])
            if (this.held.length > bytesOf(pauseAtMs)) child.stdout!.pause()
        })
    }

    private play(): void {
        this.player = this.start("aplay", this.options.playback, () => {
            this.player = undefined
            this.play()
        })
        this.player.stdin!.on("error", () => {})
    }

    /** A child that is started again a while after its end. */
    private start(program: string, pcm: string, again: () => void): ChildProcess {
        const child = spawn(program, ["-D", pcm, ...format, "-"], { stdio: ["pipe", "pipe", "pipe"] })
        let said = ""
        child.stderr.on("data", text => {
            said = `${said}${text}`.slice(-400)
        })
        let isOver = false
        const over = (why: string) => {
            if (isOver) return
            isOver = true
            if (this.closed) return
            this.options.log("sound card", { program, pcm, why })
            const timer = setTimeout(() => {
                this.restarts.delete(timer)
                again()
            }, restartMs)
            this.restarts.add(timer)
            if (program === "arecord") this.recorder = undefined
            else this.player = undefined
        }
        child.once("error", error => over(missingText(error)))
        child.once("close", code => over(said.trim().split("\n").at(-1) || `ended with ${code}`))
        return child
    }
}

/** Resolves when the child has ended, which it is made to do after a while. */
async function ended(child: ChildProcess | undefined, patienceMs: number): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const over = new Promise(resolve => child.once("exit", resolve))
    child.stdin?.end()
    const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs)
    await over
    clearTimeout(timer)
    child.stdout?.destroy()
}

function missingText(error: Error): string {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT"
    return isMissing ? "not installed: install the package alsa-utils" : error.message
}
