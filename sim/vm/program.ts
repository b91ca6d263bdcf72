/**
 * A program on a machine of its own, without hardware around it: for tests and measurements of firmware modules.
 *
 * Starts the program at once (no second of boot), keeps its log, and lets a caller wait for a line of it. Settings are
 * written into the flash before it starts.
 */

import { type Clock, realClock } from "../clock.ts"
import { Wifi } from "../wifi.ts"
import { type Flash, MemoryFlash } from "./flash.ts"
import { LogRing } from "./log.ts"
import { Machine, type MachineEnd } from "./machine.ts"
import { provision, type Settings } from "./provision.ts"
import { BoardSocket, type Dial } from "./socket.ts"

export interface ProgramOptions {
    bytecode: Uint8Array
    clock?: Clock
    settings?: Settings
    flash?: Flash
    deviceId?: string
    localAddress?: string
    dial?: Dial
    wifi?: Wifi
    /** Measures the heap after every turn of the run loop. */
    measureHeap?: boolean
    onLog?: (line: string) => void
    onFrame?: (frame: Uint8Array) => void
    random?: () => number
}

export interface Program {
    machine: Machine
    wifi: Wifi
    log: LogRing
    /** Codes of all panics; 0 is an end on purpose (`process.exit`, a passed test). */
    panics: number[]
    /** How the machine itself ended, if it did. */
    end: MachineEnd | undefined
    /** Largest heap use seen, in bytes; 0 unless `measureHeap`. */
    heapPeakBytes: number
    /** The first line that contains `text`, past or future; rejects after `limitMs` with the log's end. */
    line(text: string, limitMs?: number): Promise<string>
    stop(): void
}

export async function runProgram(options: ProgramOptions): Promise<Program> {
    const clock = options.clock ?? realClock
    const flash = options.flash ?? new MemoryFlash()
    const wifi = options.wifi ?? new Wifi()
    const deviceId = options.deviceId ?? "70617231657930a0"
    const log = new LogRing(clock)
    await provision({ flash, deviceId, bytecode: options.bytecode, settings: options.settings ?? {} })

    const machine = await Machine.create({
        clock,
        deviceId,
        flash,
        sockets: new BoardSocket({
            clock,
            wifi,
            localAddress: options.localAddress,
            dial: options.dial,
            random: options.random,
        }),
        onLog: line => {
            log.add(line)
            options.onLog?.(line)
        },
        onFrame: frame => options.onFrame?.(frame),
        onPanic: code => program.panics.push(code),
        onEnd: end => {
            program.end = end
            log.add(`! machine ended: ${end.type === "fault" ? end.text : end.type}`)
        },
        onTurn: options.measureHeap
            ? () => {
                  program.heapPeakBytes = Math.max(program.heapPeakBytes, machine.heap()?.usedBytes ?? 0)
              }
            : undefined,
    })
    const program: Program = {
        machine,
        wifi,
        log,
        panics: [],
        end: undefined,
        heapPeakBytes: 0,
        line: (text, limitMs = 10_000) => log.line(text, limitMs),
        stop: () => machine.stop(),
    }
    machine.start()
    machine.startProgram()
    return program
}
