/**
 * Who owns the bytes of a machine's heap: every block of a picture of its memory, put down to the object, array, string
 * or call that it belongs to. For `npm run build -- --live`; a firmware author reads it to see what a byte is spent on.
 *
 * Owns the knowledge of the VM's objects (devs_objects.h and devs_value.h of DeviceScript 2.16.4) and of the image's string
 * tables. Never judges and never changes the memory.
 */

import { readFileSync } from "node:fs"
import type { HeapPicture } from "../sim/vm/heap.ts"

export interface HeapOwner {
    /** Such as `object {sid, title, from}`, `call of runPanel`, `text`. */
    name: string
    count: number
    bytes: number
}

const tags = {
    free: 1,
    bytes: 2,
    array: 3,
    map: 4,
    buffer: 5,
    string: 6,
    bound: 7,
    call: 8,
    halfStatic: 9,
    shortMap: 10,
    packet: 11,
    longText: 12,
}
const tagMask = 0xf
const sizeMask = 0xffffff
/** Of a value: the kind of handle, here a text or buffer of the image. */
const imageHandle = 4
const stringShift = 14
enum StringTable {
    Builtin = 1,
    Ascii = 2,
    Utf8 = 3,
}
/** Where the sections of an image are listed, eight bytes each. */
const sectionsAt = 32
enum Section {
    Functions = 0,
    Ascii = 4,
    Utf8 = 5,
    Text = 7,
}
const functionBytes = 16
const fieldsShown = 4

/** The largest first. `debugFile` is the debug information beside the image. */
export function heapOwners(picture: HeapPicture, image: Uint8Array, debugFile: string): HeapOwner[] {
    return new Walk(picture, image, debugFile).owners()
}

class Walk {
    readonly #memory: DataView
    readonly #image: DataView
    readonly #from: number
    readonly #functionNames: string[]
    readonly #owners = new Map<string, HeapOwner>()

    constructor(picture: HeapPicture, image: Uint8Array, debugFile: string) {
        this.#memory = new DataView(picture.memory.buffer, picture.memory.byteOffset)
        this.#from = picture.firstBlock
        this.#image = new DataView(image.buffer, image.byteOffset, image.byteLength)
        const debug = JSON.parse(readFileSync(debugFile, "utf8")) as { functions: { name: string }[] }
        this.#functionNames = debug.functions.map(one => one.name)
    }

    owners(): HeapOwner[] {
        const loose = new Map<number, number>()
        const owned = new Set<number>()
        for (let at = this.#from; ; ) {
            const header = this.#word(at)
            const bytes = (header & sizeMask) * 4
            const tag = (header >>> 24) & tagMask
            if (tag === tagMask || bytes === 0) break
            if (tag === tags.bytes) loose.set(at, bytes)
            else if (tag !== tags.free) {
                const data = this.#dataOf(at, tag)
                const dataBytes = data ? (this.#word(data - 4) & sizeMask) * 4 : 0
                if (data) owned.add(data - 4)
                this.#add(this.#nameOf(at, tag), bytes + dataBytes)
            }
            at += bytes
        }
        for (const [at, bytes] of loose) if (!owned.has(at)) this.#add(`the machine's own, ${bytes} bytes`, bytes)
        return [...this.#owners.values()].sort((a, b) => b.bytes - a.bytes)
    }

    #add(name: string, bytes: number): void {
        const owner = this.#owners.get(name) ?? { name, count: 0, bytes: 0 }
        owner.count++
        owner.bytes += bytes
        this.#owners.set(name, owner)
    }

    /** Where the fields or items of an object lie, 0 when there are none. */
    #dataOf(at: number, tag: number): number {
        const hasData = [tags.map, tags.halfStatic, tags.array, tags.shortMap].includes(tag)
        return hasData ? this.#word(at + 12) : 0
    }

    #nameOf(at: number, tag: number): string {
        const length = this.#memory.getUint16(at + 8, true)
        switch (tag) {
            case tags.map:
            case tags.halfStatic:
                return `object {${this.#fields(at, length)}}`
            case tags.array:
                return `array of ${length} (room for ${this.#memory.getUint16(at + 10, true)})`
            case tags.call:
                return `call of ${this.#functionName(this.#word(at + 16))}`
            case tags.string:
            case tags.longText:
                return "text"
            case tags.buffer:
                return "buffer"
            case tags.bound:
                return "bound function"
            case tags.packet:
                return "packet"
            default:
                return "table of the machine"
        }
    }

    #fields(at: number, length: number): string {
        const data = this.#word(at + 12)
        const names = []
        for (let i = 0; i < Math.min(length, fieldsShown); i++) names.push(this.#text(data + i * 16))
        return names.join(", ") + (length > fieldsShown ? `, ${length - fieldsShown} more` : "")
    }

    #functionName(description: number): string {
        const start = this.#word(description)
        const [from, bytes] = this.#section(Section.Functions)
        for (let at = from; at < from + bytes; at += functionBytes)
            if (this.#image.getUint32(at, true) === start) return this.#functionNames[(at - from) / functionBytes]
        return "?"
    }

    /** The text that the value at `at` is. */
    #text(at: number): string {
        const handle = this.#word(at)
        if ((this.#word(at + 4) & tagMask) !== imageHandle) {
            const length = this.#memory.getUint16(handle + 4, true)
            return Buffer.from(this.#memory.buffer, this.#memory.byteOffset + handle + 6, length).toString()
        }
        const index = handle & ((1 << stringShift) - 1)
        switch (handle >> stringShift) {
            case StringTable.Ascii: {
                const at =
                    this.#section(Section.Text)[0] +
                    this.#image.getUint16(this.#section(Section.Ascii)[0] + index * 2, true)
                let end = at
                while (this.#image.getUint8(end) !== 0) end++
                return Buffer.from(this.#image.buffer, this.#image.byteOffset + at, end - at).toString()
            }
            case StringTable.Builtin:
                return `builtin ${index}`
            default:
                return "?"
        }
    }

    #section(section: Section): [from: number, bytes: number] {
        const at = sectionsAt + section * 8
        return [this.#image.getUint32(at, true), this.#image.getUint32(at + 4, true)]
    }

    #word(at: number): number {
        return this.#memory.getUint32(at, true)
    }
}
