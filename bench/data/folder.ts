/** The folder that benches take their networks from (`--data`). Reads, and says what is wrong; never writes or copies. */

import { readFileSync } from "node:fs"
import { join } from "node:path"

/** Needed by benches that measure on real networks. */
export function dataFolder(option: string | undefined, files: string): string {
    if (!option) throw new Error(`--data DIR is needed: the folder that holds ${files}`)
    return option
}

/** A JSON file of the folder, as it is: whoever reads it checks its shape. */
export function readData(folder: string, name: string): unknown {
    const file = join(folder, name)
    try {
        return JSON.parse(readFileSync(file, "utf8"))
    } catch (error) {
        throw new Error(`${file} cannot be read: ${(error as Error).message}`)
    }
}
