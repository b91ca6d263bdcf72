/**
 * The boards of devicescript.json as the factory sees them: chip, base firmware file, partitions. DeviceScript's own tools
 * say what they are (build/board-config.cjs); nothing of that is repeated here.
 */

import { execFile } from "node:child_process"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Manifest, readManifest } from "../../build/manifest.ts"
import { failure, type Outcome, success, usage } from "../outcome.ts"

export interface FactoryBoard {
    /** Its entry in devicescript.json. */
    name: string
    /** "esp32s3" */
    archId: string
    /** File name of the firmware of DeviceScript that the image is built on. */
    baseFile: string
    /** Where the configuration partition begins in an image; both count from the beginning of the file. */
    dcfgOffset: number
    /** Where program and settings begin. */
    fstorOffset: number
    fstorBytes: number
    /** The configuration partition: name, product, pins. */
    dcfg: Uint8Array
}

/** How ESP Web Tools and esptool call the chips, and the number that their images carry. */
export const chips: Record<string, { family: string; imageId: number }> = {
    esp32c3: { family: "ESP32-C3", imageId: 5 },
    esp32s3: { family: "ESP32-S3", imageId: 9 },
}

const root = fileURLToPath(new URL("../..", import.meta.url))
const tool = join(root, "build/board-config.cjs")
const run = promisify(execFile)

export async function factoryBoards(
    wanted: string[],
    manifest: Manifest = readManifest(),
): Promise<Outcome<FactoryBoard[]>> {
    const names = wanted.length > 0 ? wanted : Object.keys(manifest.entries)
    const unknown = names.find(name => !manifest.entries[name])
    if (unknown !== undefined)
        return usage(`there is no board "${unknown}"; there are ${Object.keys(manifest.entries).join(", ")}`)
    const files = names.map(name => basename(manifest.entries[name].board, ".board.json"))
    try {
        const { stdout } = await run(process.execPath, [tool, "describe", ...files], { maxBuffer: 1 << 20 })
        const described = JSON.parse(stdout) as Record<string, Omit<FactoryBoard, "name" | "dcfg"> & { dcfg: string }>
        return success(
            names.map((name, i) => {
                const board = described[files[i]]
                return { ...board, name, dcfg: Buffer.from(board.dcfg, "base64") }
            }),
        )
    } catch (error) {
        const what = String((error as { stderr?: string }).stderr || error).trim()
        return failure("failed", "board", what, { who: "maker", next: "correct the file in boards/" })
    }
}
