/**
 * The flash memory of a board: one image that holds the program and the settings, in memory or in a file.
 *
 * A file is replaced atomically (written beside, renamed over), so that a simulator that is killed in the middle of a write
 * leaves the image from before or after it, never a mixture.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** 64 pages of 4 KB, as the ESP32's FSTR partition. */
export const flashBytes = 64 * 4096

export interface Flash {
    load(): Uint8Array
    save(image: Uint8Array): void
}

export class MemoryFlash implements Flash {
    #image = erased()

    load(): Uint8Array {
        return this.#image.slice()
    }

    save(image: Uint8Array): void {
        this.#image = padded(image)
    }
}

export class FileFlash implements Flash {
    readonly path: string
    #image: Uint8Array
    #held = false
    #changed = false

    /** Reads the file when there is one; throws when it cannot be read or is no flash image. */
    constructor(path: string) {
        this.path = path
        mkdirSync(dirname(path), { recursive: true })
        this.#image = readImage(path)
    }

    load(): Uint8Array {
        return this.#image.slice()
    }

    save(image: Uint8Array): void {
        const next = padded(image)
        if (Buffer.compare(next, this.#image) === 0) return
        this.#image = next
        this.#changed = true
        if (!this.#held) this.#write()
    }

    /** Keeps the writes of `work` in memory and puts the result into the file once: flashing a program is thousands. */
    async hold<T>(work: () => Promise<T>): Promise<T> {
        this.#held = true
        try {
            return await work()
        } finally {
            this.#held = false
            if (this.#changed) this.#write()
        }
    }

    #write(): void {
        const temporary = `${this.path}.${process.pid}.tmp`
        writeFileSync(temporary, this.#image, { mode: 0o600 })
        renameSync(temporary, this.path)
        this.#changed = false
    }
}

function erased(): Uint8Array {
    return new Uint8Array(flashBytes).fill(0xff)
}

/** The machine hands over one byte too few; the missing one is as erased. */
function padded(image: Uint8Array): Uint8Array {
    const full = erased()
    full.set(image.subarray(0, flashBytes))
    return full
}

function readImage(path: string): Uint8Array {
    let content: Uint8Array
    try {
        content = readFileSync(path)
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return erased()
        throw error
    }
    if (content.length !== flashBytes)
        throw new Error(
            `${path} is no flash image: ${content.length} bytes instead of ${flashBytes}; remove it to start afresh`,
        )
    return new Uint8Array(content)
}
