/**
 * Where the program that holds a serial port lets others onto it: a socket in the user's run-time folder, named after the
 * port. Owns the name and whose socket is believed; never opens it.
 */

import { createHash } from "node:crypto"
import { realpathSync, type Stats } from "node:fs"
import { lstat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Folders in which a sharing program may have its socket: that of services, of this user, and the common one. */
function folders(): string[] {
    const own = process.env.XDG_RUNTIME_DIR
    return [process.env.RUNTIME_DIRECTORY, own, "/run/parley", tmpdir()].filter(folder => folder !== undefined)
}

/** Where a program of this user would share `port`. */
export function sharePath(port: string, folder = folders()[0]!): string {
    let device = port
    try {
        device = realpathSync(port)
    } catch {
        // Unplugged at the moment; the name has to do.
    }
    const name = createHash("sha256").update(device).digest("hex").slice(0, 12)
    return join(folder, `parley-port-${name}.sock`)
}

/** The socket through which `port` is shared, if there is one of this user or of root. */
export async function shareSocketOf(port: string): Promise<string | undefined> {
    for (const folder of folders()) {
        const path = sharePath(port, folder)
        const found: Stats | undefined = await lstat(path).catch(() => undefined)
        if (found?.isSocket() && (found.uid === 0 || found.uid === process.getuid?.())) return path
    }
    return undefined
}
