/**
 * The way into functions of the process that are not JavaScript's: koffi, which is optional, and the address of memory.
 *
 * Owns the choice of systems: Linux of 64 bits, where pointers and structures are the same on x64 and arm64. Whoever binds a
 * function has another way where there is none.
 */

import { createRequire } from "node:module"
import type { LibraryHandle } from "koffi"

export interface Native {
    koffi: typeof import("koffi")
    /** Of the process itself: the C library, and what Node brings with it. */
    library: LibraryHandle
    /** Where `bytes` are. They stay there as long as somebody holds them: see `fixedBytes`. */
    addressOf(bytes: Uint8Array): number
}

let native: Native | undefined | "unknown" = "unknown"

/** Undefined: not on this system. */
export function loadNative(): Native | undefined {
    if (native === "unknown") native = load()
    return native
}

/** Memory that is never moved: that of a small typed array is, until somebody asks for its buffer. */
export function fixedBytes(bytes: number): Uint8Array {
    return new Uint8Array(new ArrayBuffer(bytes))
}

function load(): Native | undefined {
    if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) return undefined
    try {
        const koffi: Native["koffi"] = createRequire(import.meta.url)("koffi")
        const library = koffi.load(null)
        // Addresses are numbers: 48 bits, and cheaper to hand over than a buffer is.
        const memcpy = library.func("uintptr_t memcpy(void *to, void *from, size_t bytes)")
        const nothing = new Uint8Array(1)
        // It returns where it would have written.
        return { koffi, library, addressOf: bytes => memcpy(bytes, nothing, 0) }
    } catch {
        // Not installed, as it is optional, or it has nothing for this system.
        return undefined
    }
}
