/**
 * Instances of the DeviceScript virtual machine, from the slice that build/vm-slice.ts makes.
 *
 * Owns the loading (once a process) and the evaluation of the slice with a clock and a random source of the caller's. Never
 * runs a machine: that is `machine.ts`.
 */

import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import type { Clock } from "../clock.ts"

/** The machine as its C code exports it. Any call may throw: an abort of the C code is a `RuntimeError`. */
export interface VmInstance {
    HEAPU8: Uint8Array
    HEAPU32: Uint32Array
    _malloc(size: number): number
    _free(pointer: number): void
    _jd_em_init(): void
    /** Microseconds until it wants to be called again. */
    _jd_em_process(): number
    _jd_em_frame_received(pointer: number): number
    _jd_em_tcpsock_on_event(event: number, pointer: number, size: number): void
    devsSetDeviceId(id: string): void
    devsDeploy(bytecode: Uint8Array): number
    devsVerify(bytecode: Uint8Array): number
    devsGcStress(on: boolean): void
}

/** What the C code calls. None of these may throw, nor call back into the machine. */
export interface VmHooks {
    sendPacket(frame: Uint8Array): void
    dmesg(line: string): void
    /** A program has ended: 0 for a wanted restart, else the panic's code. */
    panicHandler(code: number): void
    flashSize: number
    flashLoad(): Uint8Array
    flashSave(image: Uint8Array): void
    /** Host as a pointer to text; a negative port asks for TLS. */
    sockOpen(host: string, port: number): number
    sockWrite(data: Uint8Array): number
    sockClose(): number
    sockIsAvailable(): boolean
    random(bytes: number): Uint8Array
}

/** Thrown through the C code when it resets itself. */
export class VmQuit extends Error {
    readonly code: number

    constructor(code: number) {
        super(`the board has reset itself (${code})`)
        this.code = code
    }
}

/** Node's types know WebAssembly only together with those of browsers. */
interface WasmModule {
    readonly wasmModule?: never
}
interface WasmInstance {
    exports: object
}
const { WebAssembly } = globalThis as unknown as {
    WebAssembly: {
        Module: new (binary: Uint8Array) => WasmModule
        Instance: new (module: WasmModule, imports: object) => WasmInstance
    }
}

const require = createRequire(import.meta.url)
const folder = fileURLToPath(new URL("../../.build/", import.meta.url))
let loaded: { createFactory: (host: object) => (options: object) => Promise<VmInstance>; wasm: WasmModule } | undefined

function load() {
    if (loaded) return loaded
    try {
        const { createFactory } = require(`${folder}vm.cjs`)
        loaded = { createFactory, wasm: new WebAssembly.Module(readFileSync(`${folder}vm.wasm`)) }
        return loaded
    } catch (error) {
        if (
            (error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND" &&
            (error as NodeJS.ErrnoException).code !== "ENOENT"
        )
            throw error
        throw new Error("the DeviceScript VM is not built yet: run `node build/setup.mjs`")
    }
}

/** A fresh machine: memory cleared, nothing initialised. */
export async function createInstance(clock: Clock, hooks: VmHooks): Promise<VmInstance> {
    const { createFactory, wasm } = load()
    // Milliseconds with a fraction: the C code multiplies them into microseconds.
    const startMs = clock.nowMs() - 1000
    const factory = createFactory({
        Date: { now: () => clock.nowMs() - startMs },
        // The stock run loop is never started; what is left that asks for a timer only watches over slow loading.
        setTimeout: () => 0,
        clearTimeout: () => {},
        setInterval: () => 0,
        clearInterval: () => {},
        require: (name: string) =>
            name === "crypto" ? { randomBytes: (size: number) => hooks.random(size) } : require(name),
        console: silentConsole,
        globalThis: {},
    })
    const readText = (pointer: number) => {
        const heap = instance.HEAPU8
        let end = pointer
        while (heap[end] !== 0 && end - pointer < 256) end++
        return Buffer.from(heap.subarray(pointer, end)).toString("utf8")
    }
    const instance: VmInstance = await factory({
        instantiateWasm: (imports: object, done: (instance: WasmInstance) => object) =>
            done(new WebAssembly.Instance(wasm, imports)),
        quit: (code: number) => {
            throw new VmQuit(code)
        },
        print: (line: string) => hooks.dmesg(line),
        printErr: (line: string) => hooks.dmesg(`! ${line}`),
        sendPacket: hooks.sendPacket,
        panicHandler: hooks.panicHandler,
        flashSize: hooks.flashSize,
        flashLoad: hooks.flashLoad,
        flashSave: hooks.flashSave,
    })
    // These would be overwritten by the slice's own while it is set up.
    Object.assign(instance, {
        dmesg: hooks.dmesg,
        log: () => {},
        error: () => {},
        sockOpen: (host: number, port: number) => hooks.sockOpen(readText(host), port),
        sockWrite: (data: number, size: number) => hooks.sockWrite(instance.HEAPU8.slice(data, data + size)),
        sockClose: hooks.sockClose,
        sockIsAvailable: hooks.sockIsAvailable,
    })
    return instance
}

const silentConsole = { log() {}, debug() {}, warn() {}, error() {}, info() {} }
