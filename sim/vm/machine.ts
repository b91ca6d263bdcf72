/**
 * One running DeviceScript machine: its run loop, what goes in (Jacdac frames, socket events) and what comes out.
 *
 * Owns the order of things: the C code is never entered twice at a time, what arrives while it runs is kept and handed over
 * afterwards, and every event wakes it at once. A trap or an abort of the C code ends this machine and is reported; it never
 * reaches the caller as an exception. Restarting is the board's business (`../board.ts`).
 */

import { randomBytes } from "node:crypto"
import type { Clock, Timer } from "../clock.ts"
import { type Flash, flashBytes } from "./flash.ts"
import { HeapMeter, type HeapPicture, type HeapUse } from "./heap.ts"
import { commandFrame, packetsOf, serviceIndexIn, services, setAutostart } from "./jacdac.ts"
import { createInstance, type VmInstance, VmQuit } from "./module.ts"
import type { SocketEvent, SocketPort } from "./socket.ts"

/** Why a machine has stopped by itself. */
export type MachineEnd =
    /** The program asked for a reset of the whole board. */
    | { type: "reset" }
    /** The C code trapped or aborted; on a board this is a hardware fault. */
    | { type: "fault"; text: string }

export interface MachineOptions {
    clock: Clock
    /** 16 hexadecimal digits. */
    deviceId: string
    flash: Flash
    /** The one TCP socket; without it the network is not available. */
    sockets?: SocketPort
    random?: (bytes: number) => Uint8Array
    onFrame?: (frame: Uint8Array) => void
    /** A line of the log; its first character is the level: `>` log, `*` warning, `!` error, `?` debug, else system. */
    onLog?: (line: string) => void
    /** The program has panicked (code > 0), or ended on purpose (0). The machine restarts it by itself. */
    onPanic?: (code: number) => void
    onEnd?: (end: MachineEnd) => void
    /** After each turn of the run loop; for measuring. */
    onTurn?: () => void
}

type Input = { type: "frame"; frame: Uint8Array } | { type: "socket"; event: SocketEvent }

/** A program that keeps itself busy must not starve the other boards of the process. */
const turnsAtOnceMax = 64
/** Inputs kept while the machine does not take them; further frames are dropped, as a bus would. */
const framesMax = 4096
const socketEventCodes = { open: 1, close: 2, error: 3, data: 4 } as const

export class Machine {
    readonly deviceId: string
    readonly #options: MachineOptions
    readonly #clock: Clock
    #instance!: VmInstance
    #heap!: HeapMeter
    #inputs: Input[] = []
    #timer: Timer | undefined
    #planned = false
    #managerIndex = 0
    #startWanted = false
    #inside = false
    #state: "made" | "running" | "stopped" = "made"

    /** Use `Machine.create`. */
    private constructor(options: MachineOptions) {
        this.#options = options
        this.#clock = options.clock
        this.deviceId = options.deviceId
    }

    /** A machine with the program and the settings of its flash, not running yet. */
    static async create(options: MachineOptions): Promise<Machine> {
        if (!/^[0-9a-f]{16}$/.test(options.deviceId))
            throw new Error(`a device id is 16 hexadecimal digits, not ${options.deviceId}`)
        const machine = new Machine(options)
        const alive = () => machine.#state !== "stopped"
        const sockets = options.sockets
        machine.#instance = await createInstance(options.clock, {
            sendPacket: frame => {
                if (!alive()) return
                if (machine.#managerIndex === 0) machine.#findManager(frame)
                options.onFrame?.(frame)
            },
            dmesg: line => {
                if (alive()) options.onLog?.(line)
            },
            panicHandler: code => {
                if (alive()) options.onPanic?.(code)
            },
            flashSize: flashBytes,
            flashLoad: () => options.flash.load(),
            flashSave: image => {
                if (alive()) options.flash.save(image)
            },
            sockOpen: (host, port) => (alive() && sockets ? sockets.open(host, port) : -1),
            sockWrite: data => (alive() && sockets ? sockets.write(data) : -10),
            sockClose: () => (alive() && sockets ? sockets.close() : -10),
            sockIsAvailable: () => alive() && (sockets?.available() ?? false),
            random: options.random ?? (bytes => randomBytes(bytes)),
        })
        machine.#heap = new HeapMeter(machine.#instance)
        sockets?.attach(event => machine.#push({ type: "socket", event }))
        return machine
    }

    get running(): boolean {
        return this.#state === "running"
    }

    start(): void {
        if (this.#state !== "made") return
        this.#state = "running"
        this.#enter(() => this.#instance.devsSetDeviceId(this.deviceId))
        this.#turn()
    }

    /** At once and without a word, as when the power goes. Nothing of this machine is heard afterwards. */
    stop(): void {
        if (this.#state === "stopped") return
        this.#state = "stopped"
        this.#timer?.cancel()
        this.#timer = undefined
        this.#inputs = []
        this.#options.sockets?.detach()
    }

    /** A frame from the Jacdac bus. */
    receive(frame: Uint8Array): void {
        if (this.#inputs.length < framesMax) this.#push({ type: "frame", frame })
    }

    /** Writes a program into the flash and starts it soon; 0 when it was taken, else the machine's error code. */
    deploy(bytecode: Uint8Array): number {
        let result = -1
        this.#enter(() => {
            result = this.#instance.devsDeploy(padToBlock(bytecode))
        })
        this.#wake()
        return result
    }

    /**
     * Starts the program of the flash without the 1.15 s that a machine waits for devices to announce themselves: devices
     * that are there before this call are bound to their roles when the program starts.
     */
    startProgram(): void {
        if (this.#managerIndex > 0)
            this.receive(commandFrame(this.deviceId, this.#managerIndex, setAutostart, Buffer.of(1)))
        else this.#startWanted = true
    }

    /** Collects garbage before every allocation: slow, but what `heap` then finds is alive. */
    stressCollector(on: boolean): void {
        this.#enter(() => this.#instance.devsGcStress(on))
    }

    /** Undefined while no program runs. */
    heap(): HeapUse | undefined {
        return this.#state === "running" ? this.#heap.measure() : undefined
    }

    /** The memory as it is, to see whose the bytes of the heap are. Undefined while no program runs. */
    heapPicture(): HeapPicture | undefined {
        return this.heap() && this.#heap.picture()
    }

    #findManager(frame: Uint8Array): void {
        for (const packet of packetsOf(frame)) this.#managerIndex ||= serviceIndexIn(packet, services.manager)
        if (this.#managerIndex > 0 && this.#startWanted) this.startProgram()
    }

    #push(input: Input): void {
        if (this.#state === "stopped") return
        this.#inputs.push(input)
        this.#wake()
    }

    /** Runs the loop as soon as the present caller is done, however often it is asked for. */
    #wake(): void {
        if (this.#state !== "running" || this.#inside || this.#planned) return
        this.#planned = true
        this.#clock.soon(() => {
            this.#planned = false
            this.#turn()
        })
    }

    #turn(): void {
        if (this.#state !== "running" || this.#inside) return
        this.#timer?.cancel()
        this.#timer = undefined
        let waitUs = 0
        for (let turns = 0; turns < turnsAtOnceMax; turns++) {
            const inputs = this.#inputs
            this.#inputs = []
            for (const input of inputs) if (!this.#enter(() => this.#hand(input))) return
            if (
                !this.#enter(() => {
                    waitUs = this.#instance._jd_em_process()
                })
            )
                return
            this.#options.onTurn?.()
            if (this.#state !== "running") return
            if (this.#inputs.length === 0) break
        }
        const waitMs = this.#inputs.length > 0 ? 0 : Math.max(0, waitUs / 1000)
        this.#timer = this.#clock.after(waitMs, () => this.#turn())
    }

    #hand(input: Input): void {
        if (input.type === "frame") {
            const pointer = this.#copy(input.frame)
            this.#instance._jd_em_frame_received(pointer)
            this.#instance._free(pointer)
            return
        }
        const data = input.event.type === "data" ? input.event.data : undefined
        const text = input.event.type === "error" ? Buffer.from(input.event.text) : undefined
        const bytes = data ?? text
        const pointer = bytes ? this.#copy(bytes) : 0
        this.#instance._jd_em_tcpsock_on_event(socketEventCodes[input.event.type], pointer, bytes?.length ?? 0)
        if (pointer) this.#instance._free(pointer)
    }

    #copy(bytes: Uint8Array): number {
        const pointer = this.#instance._malloc(bytes.length)
        if (pointer === 0) throw new Error("the machine has no memory left for what it receives")
        this.#instance.HEAPU8.set(bytes, pointer)
        return pointer
    }

    /** Calls into the C code; false when that was its end. */
    #enter(work: () => void): boolean {
        if (this.#state === "stopped") return false
        this.#inside = true
        try {
            work()
            return true
        } catch (error) {
            const end: MachineEnd =
                error instanceof VmQuit
                    ? { type: "reset" }
                    : { type: "fault", text: (error as Error).message ?? String(error) }
            this.stop()
            this.#options.onEnd?.(end)
            return false
        } finally {
            this.#inside = false
        }
    }
}

/** Whether a fresh machine accepts `bytecode`: damaged bytecode would abort the machine that it is deployed to. */
export async function verifyBytecode(clock: Clock, bytecode: Uint8Array): Promise<boolean> {
    const nothing = () => 0
    const instance = await createInstance(clock, {
        sendPacket: nothing,
        dmesg: nothing,
        panicHandler: nothing,
        flashSize: flashBytes,
        flashLoad: () => new Uint8Array(flashBytes).fill(0xff),
        flashSave: nothing,
        sockOpen: () => -1,
        sockWrite: () => -10,
        sockClose: () => -10,
        sockIsAvailable: () => false,
        random: bytes => randomBytes(bytes),
    })
    try {
        instance._jd_em_init()
        return instance.devsVerify(padToBlock(bytecode)) === 0
    } catch {
        return false
    }
}

/** Programs are written in blocks of 32 bytes. */
export function padToBlock(bytecode: Uint8Array): Uint8Array {
    const padded = new Uint8Array((bytecode.length + 31) & ~31)
    padded.set(bytecode)
    return padded
}
