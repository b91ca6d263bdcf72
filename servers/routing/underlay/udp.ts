/**
 * A UDP socket behind the emulated network. Owns nothing but the way of each packet; copies one only when it has to wait.
 */

import type { UdpIo } from "../../../media/udp.ts"
import type { Underlay } from "./underlay.ts"

export class UnderlayUdp implements UdpIo {
    readonly ip: string
    readonly port: number
    readonly #io: UdpIo
    readonly #underlay: Underlay

    constructor(io: UdpIo, underlay: Underlay) {
        this.ip = io.ip
        this.port = io.port
        this.#io = io
        this.#underlay = underlay
    }

    get sendFailures(): number {
        return this.#io.sendFailures
    }

    set sendFailures(count: number) {
        this.#io.sendFailures = count
    }

    send(packet: Uint8Array, ip: string, port: number, mayDrop?: boolean): boolean {
        if (this.#underlay.isPlain) return this.#io.send(packet, ip, port, mayDrop)
        // The sender writes the packet again while this one is on its way.
        const copy = Uint8Array.from(packet)
        this.#underlay.send(ip, copy.length, () => void this.#io.send(copy, ip, port))
        return true
    }

    hurry(ms: number): void {
        this.#io.hurry?.(ms)
    }

    close(): Promise<void> {
        return this.#io.close()
    }
}
