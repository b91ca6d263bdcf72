/**
 * Where the program that holds a serial port lets others onto it: a socket in the user's run-time folder, named after the
 * port. Owns the name and whose socket is believed; never opens it.
 */

import { createHash } from "node:crypto"
import type { Stats } from "node:fs"
import { lstat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

/** That of the service; only root makes folders there. */
const serviceFolder = "/run/parley"

/** Folders in which a sharing program may have its socket: given by systemd, of this user, of the service, of everybody. */
function folders(): string[] {
    const given = [process.env.RUNTIME_DIRECTORY, process.env.XDG_RUNTIME_DIR, serviceFolder, tmpdir()]
    return given.filter(folder => folder !== undefined)
}

/** Where a program of this user would share `port`. By its name: what a link names changes with each plugging. */
export function sharePath(port: string, folder = folders()[0]!): string {
    const name = createHash("sha256").update(resolve(port)).digest("hex").slice(0, 12)
    return join(folder, `parley-port-${name}.sock`)
}

/** The socket through which `port` is shared, if there is one of this user, of root or of the service. */
export async function shareSocketOf(port: string): Promise<string | undefined> {
    for (const folder of folders()) {
        const path = sharePath(port, folder)
        const found: Stats | undefined = await lstat(path).catch(() => undefined)
        const isTrusted = folder === serviceFolder || found?.uid === 0 || found?.uid === process.getuid?.()
        if (found?.isSocket() && isTrusted) return path
    }
    return undefined
}
