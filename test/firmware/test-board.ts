/**
 * A board for tests of the firmware's MQTT client: the virtual machine with one DeviceScript program and one socket, whose
 * log lines can be waited for and whose panics and heap are recorded. No Jacdac bus.
 */

import { mkdirSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { type Clock, realClock } from "../../sim/clock.ts"
import { MemoryFlash } from "../../sim/vm/flash.ts"
import { Machine } from "../../sim/vm/machine.ts"
import { BoardSocket, type SocketPort } from "../../sim/vm/socket.ts"
import { Wifi } from "../../sim/wifi.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Compiles `test/firmware/programs/<name>.ts`, or takes the result of an earlier time. */
export async function program(name: string): Promise<Uint8Array> {
    const folder = `${root}.build/test-firmware`
    mkdirSync(folder, { recursive: true })
    // Test files run at the same time, each with its own output.
    const result = await compileFirmware(
        `${root}test/firmware/programs/${name}.ts`,
        `${folder}/${name}-${process.pid}.devs`,
    )
    if (!result.ok) throw new Error(describeProblems(result.problems))
    return readFileSync(result.devsFile)
}

export interface TestBoardOptions {
    clock?: Clock
    sockets?: SocketPort
    /** Where every connection of the program goes. */
    broker?: { host: string; port: number }
    random?: (bytes: number) => Uint8Array
    /** When the heap is measured; the default is after each turn of the machine. */
    measure?: "each turn" | "on demand"
}

interface Waiter {
    matches: (line: string) => boolean
    found: (line: string) => void
}

export class TestBoard {
    readonly machine: Machine
    readonly wifi: Wifi
    /** Everything that the program logged, without the level. */
    readonly lines: string[] = []
    readonly panics: number[] = []
    heapPeakBytes = 0
    #waiters: Waiter[] = []
    #log: string[] = []

    private constructor(machine: Machine, wifi: Wifi) {
        this.machine = machine
        this.wifi = wifi
    }

    static async start(bytecode: Uint8Array, options: TestBoardOptions): Promise<TestBoard> {
        const clock = options.clock ?? realClock
        const wifi = new Wifi()
        const broker = options.broker
        const sockets =
            options.sockets ??
            new BoardSocket({
                clock,
                wifi,
                dial: () => connect({ host: broker!.host, port: broker!.port, noDelay: true }),
            })
        let board: TestBoard | undefined
        const machine = await Machine.create({
            clock,
            deviceId: "0123456789abcdef",
            flash: new MemoryFlash(),
            sockets,
            onLog: line => board?.heard(line),
            onPanic: code => board?.panics.push(code),
            onEnd: end => board?.panics.push(end.type === "reset" ? -1 : -2),
            random: options.random,
            onTurn: options.measure === "on demand" ? undefined : () => board?.measure(),
        })
        board = new TestBoard(machine, wifi)
        machine.start()
        const result = machine.deploy(bytecode)
        if (result !== 0) throw new Error(`the machine does not take the program (${result})`)
        return board
    }

    /** The first line after now (or among those so far, when `from` says how many to pass over) that matches. */
    line(pattern: RegExp, from = this.lines.length): Promise<string> {
        const early = this.lines.slice(from).find(line => pattern.test(line))
        if (early !== undefined) return Promise.resolve(early)
        return new Promise(resolve => this.#waiters.push({ matches: line => pattern.test(line), found: resolve }))
    }

    /** As the power goes. */
    cutPower(): void {
        this.machine.stop()
    }

    /** The end of the machine's whole log, for messages of failures. */
    tail(): string {
        return this.#log.slice(-30).join("\n")
    }

    private heard(text: string): void {
        this.#log.push(text)
        if (this.#log.length > 2000) this.#log.splice(0, 1000)
        if (!text.startsWith(">")) return
        const line = text.slice(1).trim()
        this.lines.push(line)
        const found = this.#waiters.filter(waiter => waiter.matches(line))
        this.#waiters = this.#waiters.filter(waiter => !found.includes(waiter))
        for (const waiter of found) waiter.found(line)
    }

    measure(): void {
        const used = this.machine.heap()?.usedBytes ?? 0
        if (used > this.heapPeakBytes) this.heapPeakBytes = used
    }
}
