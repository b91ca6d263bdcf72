/**
 * The routers on the way to an address, by Debian's `tracepath` where it is installed: evidence for common paths. Nothing
 * waits for it for long and nothing needs it; paths within a machine or a private network are not asked for, since their
 * addresses say nothing.
 *
 * Owns the processes it starts, at most two at once, and what they have found for ten minutes.
 */

import { execFile } from "node:child_process"
import { isIPv4 } from "node:net"
import { isPublic } from "../neighbours/shared-path.ts"

const freshMs = 600_000
const runMs = 20_000
const atOnce = 2
const hopsMax = 20
const kept = 2000

interface Found {
    atMs: number
    hops?: readonly string[]
}

/** The routers in the order of the way from what `tracepath -n` prints; those that do not answer are left out. */
export function parseTracepath(printed: string): string[] {
    const byHop = new Map<number, string>()
    for (const line of printed.slice(0, 16_384).split("\n")) {
        const match = /^\s*(\d{1,2})(\?)?:\s+(\d{1,3}(?:\.\d{1,3}){3})\s/.exec(line)
        if (!match || match[2] || !isIPv4(match[3])) continue
        const hop = Number(match[1])
        if (!byHop.has(hop)) byHop.set(hop, match[3])
    }
    return [...byHop].sort(([a], [b]) => a - b).map(([, address]) => address)
}

export class Tracepath {
    readonly #found = new Map<string, Found>()
    readonly #waiting: (() => void)[] = []
    #running = 0
    #isMissing = false
    #closed = false
    readonly #stops = new Set<() => void>()

    /** The routers on the way to `ip`, as far as they are known after `waitMs`. */
    async hops(ip: string, nowMs: number, waitMs: number): Promise<readonly string[] | undefined> {
        if (this.#isMissing || this.#closed || !isPublic(ip)) return undefined
        const known = this.#found.get(ip)
        if (known && nowMs - known.atMs < freshMs) return known.hops
        if (this.#found.size >= kept) this.#found.delete(this.#found.keys().next().value as string)
        const found: Found = { atMs: nowMs, hops: known?.hops }
        this.#found.set(ip, found)
        const run = this.#run(ip).then(hops => {
            if (hops) found.hops = hops
        })
        let timer: NodeJS.Timeout | undefined
        const late = new Promise<void>(resolve => {
            timer = setTimeout(resolve, waitMs)
        })
        await Promise.race([run, late])
        clearTimeout(timer)
        return found.hops
    }

    close(): void {
        this.#closed = true
        for (const stop of this.#stops) stop()
        for (const go of this.#waiting.splice(0)) go()
    }

    async #run(ip: string): Promise<string[] | undefined> {
        if (this.#running >= atOnce) await new Promise<void>(resolve => this.#waiting.push(resolve))
        if (this.#closed || this.#isMissing) return undefined
        this.#running++
        const printed = await new Promise<string | undefined>(resolve => {
            const options = { timeout: runMs, maxBuffer: 65_536, encoding: "utf8" } as const
            const child = execFile("tracepath", ["-4", "-n", "-m", String(hopsMax), ip], options, (error, output) => {
                this.#stops.delete(stop)
                if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") this.#isMissing = true
                // One that ran out of time has still printed the routers that it found.
                resolve(output || undefined)
            })
            const stop = () => void child.kill()
            this.#stops.add(stop)
        })
        this.#running--
        this.#waiting.shift()?.()
        return printed === undefined ? undefined : parseTracepath(printed)
    }
}
