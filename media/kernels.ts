/**
 * The arithmetic that is done for each packet, as WebAssembly: `kernels/` holds its source, the set-up compiles it.
 *
 * Owns this thread's instance and the views of its memory. Everything in it is scratch: a call leaves nothing behind that the next
 * one of another stream may not overwrite.
 */

import { readFileSync } from "node:fs"

/** What of the standard's interface is used here; Node's types leave it to those of browsers. */
declare const WebAssembly: {
    Module: new (bytes: Uint8Array) => object
    Instance: new (module: object) => { exports: object }
}

interface Exports {
    memory: { buffer: ArrayBuffer }
    /** `kernels/link-tag.ts` */
    datagramBytesMax: Address
    keyAt: Address
    datagramAt: Address
    /** 1: the tag stood there already. */
    tagDatagram(bytes: number): number
    /** `kernels/mix.ts` */
    frameSamplesMax: Address
    frameAt: Address
    mixedAt: Address
    power(count: number): number
    clearSum(count: number): void
    addToSum(count: number): void
    takeSum(count: number, isOne: boolean): void
    takeSumWithout(count: number, isOne: boolean): void
    /** `kernels/pcmu.ts` */
    history: Address
    tapsAt: Address
    payloadAt: Address
    soundAt: Address
    workAt: Address
    middlesAt: Address
    decodePcmu(bytes: number): void
    encodePcmu(bytes: number): void
    /** `kernels/sha1.ts` */
    messageBytesMax: Address
    messageAt: Address
    statesAt: Address
    digestAt: Address
    hmacSha1Key(): void
    hmacSha1(bytes: number): void
}

interface Address {
    value: number
}

const file = new URL("../.build/kernels.wasm", import.meta.url)
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)))
export const kernels = exports as Exports
/** All of its memory; it never grows. */
const { buffer } = kernels.memory

export const bytesAt = (address: Address, count: number) => new Uint8Array(buffer, address.value, count)
export const wordsAt = (address: Address, count: number) => new Uint32Array(buffer, address.value, count)
export const samplesAt = (address: Address, count: number) => new Int16Array(buffer, address.value, count)
export const floatsAt = (address: Address, count: number) => new Float32Array(buffer, address.value, count)
