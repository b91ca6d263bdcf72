/**
 * Ends the rest of another thread's `BatchLoop`, so that a message for it is read at once.
 *
 * Owns a counter of the system (eventfd). To be closed only when that thread has ended: its number may be another's afterwards.
 */

import { type Libc, loadLibc, sockets } from "./libc.ts"

export class Wake {
    /** Undefined: this system has no such thing, and no `BatchLoop` either. */
    static open(): Wake | undefined {
        const libc = loadLibc()
        const fd = libc?.eventfd(0, sockets.nonBlocking | sockets.closeOnExec) ?? -1
        return libc && fd >= 0 ? new Wake(libc, fd) : undefined
    }

    readonly #one = new Uint8Array(BigUint64Array.of(1n).buffer)
    #isOpen = true

    private constructor(
        private readonly libc: Libc,
        readonly fd: number,
    ) {}

    signal(): void {
        if (this.#isOpen) this.libc.write(this.fd, this.#one, this.#one.length)
    }

    close(): void {
        if (!this.#isOpen) return
        this.#isOpen = false
        this.libc.close(this.fd)
    }
}
