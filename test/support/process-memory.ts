/**
 * Whether a process has some bytes anywhere in its memory. Linux only; needs the rights of a debugger (root, or the parent's).
 */

import { closeSync, openSync, readFileSync, readSync } from "node:fs"

const pieceBytes = 4 * 1024 * 1024

/** Looks through all that the process has written or could write. */
export function processHolds(pid: number, bytes: Buffer): boolean {
    const areas = readFileSync(`/proc/${pid}/maps`, "utf8")
        .split("\n")
        .map(line => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
        .flatMap(match => (match ? [[Number.parseInt(match[1], 16), Number.parseInt(match[2], 16)]] : []))
    const memory = openSync(`/proc/${pid}/mem`, "r")
    try {
        const piece = Buffer.alloc(pieceBytes + bytes.length)
        for (const [start, end] of areas)
            for (let at = start; at < end; at += pieceBytes) {
                const length = Math.min(piece.length, end - at)
                // Parts of an area may not be there yet.
                let read = 0
                try {
                    read = readSync(memory, piece, 0, length, at)
                } catch {
                    continue
                }
                if (piece.subarray(0, read).includes(bytes)) return true
            }
        return false
    } finally {
        closeSync(memory)
    }
}
