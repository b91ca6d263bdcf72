/** Files of the factory: each appears whole or not at all, readable by its user only unless said otherwise. */

import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** Beside it, and renamed over it: never half a file under its name. */
export function writeWhole(path: string, content: Uint8Array | string, mode = 0o600): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const temporary = `${path}.${process.pid}.tmp`
    writeFileSync(temporary, content, { mode })
    renameSync(temporary, path)
}
