/**
 * UDP datagrams as they pass over the loopback interface, taken by tcpdump: what a stranger with a cable would see.
 *
 * Owns tcpdump and the reading of its format (pcap, Ethernet frames). Stops only what it started.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import type { Readable } from "node:stream"
import { within } from "./deadline.ts"

export interface CapturedDatagram {
    from: string
    to: string
    /** Differentiated services code point (RFC 2474). */
    dscp: number
    payload: Buffer
}

const fileHeaderBytes = 24
const recordHeaderBytes = 16
const ethernetBytes = 14
const udpHeaderBytes = 8

export class Capture {
    readonly #child: ChildProcessByStdio<null, Readable, Readable>
    readonly #pieces: Buffer[] = []

    private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
        this.#child = child
        child.stdout.on("data", piece => this.#pieces.push(piece))
    }

    /** `filter` as tcpdump takes it. Resolves when nothing is missed any more. */
    static async start(tcpdump: string, filter: string): Promise<Capture> {
        const words = ["-i", "lo", "-n", "-U", "--immediate-mode", "-Z", "root", "-w", "-", filter]
        const child = spawn(tcpdump, words, { stdio: ["ignore", "pipe", "pipe"] })
        const capture = new Capture(child)
        let said = ""
        const listening = new Promise<void>((resolve, reject) => {
            child.once("error", reject)
            child.once("exit", code => reject(new Error(`tcpdump ended with ${code}: ${said}`)))
            child.stderr.on("data", text => {
                said += text
                if (said.includes("listening on")) resolve()
            })
        })
        await within(listening, "tcpdump to listen")
        return capture
    }

    /** What has come so far. */
    datagrams(): CapturedDatagram[] {
        return read(Buffer.concat(this.#pieces))
    }

    async stop(): Promise<CapturedDatagram[]> {
        const closed = once(this.#child, "close")
        this.#child.kill("SIGINT")
        await within(closed, "tcpdump to end")
        return this.datagrams()
    }
}

function read(file: Buffer): CapturedDatagram[] {
    const datagrams: CapturedDatagram[] = []
    for (let at = fileHeaderBytes; at + recordHeaderBytes <= file.length; ) {
        const bytes = file.readUInt32LE(at + 8)
        const frame = file.subarray(at + recordHeaderBytes, at + recordHeaderBytes + bytes)
        at += recordHeaderBytes + bytes
        if (frame.length < bytes) break
        const ip = frame.subarray(ethernetBytes)
        const address = (offset: number) => [...ip.subarray(offset, offset + 4)].join(".")
        const udp = ip.subarray((ip[0] & 15) * 4)
        const payload = udp.subarray(udpHeaderBytes, udp.readUInt16BE(4))
        datagrams.push({ from: address(12), to: address(16), dscp: ip[1] >> 2, payload })
    }
    return datagrams
}
