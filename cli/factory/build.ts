/**
 * Builds the image of one board: compiles its program, lets the machine write program and settings into an empty
 * partition, and puts that onto the base firmware. Owns where base firmware is looked for; never fetches it.
 */

import { createHash } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { compileEntry, describeProblems } from "../../build/firmware.ts"
import { readManifest } from "../../build/manifest.ts"
import { MemoryFlash } from "../../sim/vm/flash.ts"
import { provision, type Settings } from "../../sim/vm/provision.ts"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import { chips, type FactoryBoard } from "./boards.ts"
import { assembleImage } from "./image.ts"

export interface BuiltImage {
    board: string
    bytes: Buffer
    sha256: string
    /** SHA-256 of the bytecode. */
    program: string
}

/** Any: nothing in the partition depends on it, and on a board it is the chip's own. */
const deviceId = "70617266616374f0"
const baseBytesMax = 16 * 1024 * 1024

/** `given` is a file, a folder with files, or "" for `cache`. */
export function findBase(board: FactoryBoard, given: string, cache: string): Outcome<Buffer> {
    const place = given === "" ? cache : resolve(given)
    const isFile = existsSync(place) && statSync(place).isFile()
    const path = isFile ? place : join(place, board.baseFile)
    try {
        if (statSync(path).size > baseBytesMax)
            return failure("failed", "base-firmware", `${path} is larger than ${baseBytesMax} bytes`, { who: "maker" })
        return success(readFileSync(path))
    } catch (error) {
        const absent = (error as NodeJS.ErrnoException).code === "ENOENT"
        return failure(
            "failed",
            "base-firmware",
            absent ? `the base firmware of ${board.name} is missing: ${path}` : `${path}: ${messageOf(error)}`,
            {
                who: "maker",
                next: `put ${board.baseFile} of the releases of microsoft/devicescript-esp32 into ${cache}, or say where it is: --base PATH`,
            },
        )
    }
}

export async function compiledProgram(board: FactoryBoard): Promise<Outcome<Buffer>> {
    const compiled = await compileEntry(readManifest(), board.name)
    if (!compiled.ok)
        return failure("failed", "compile", `${board.name} does not compile: ${describeProblems(compiled.problems)}`, {
            who: "maker",
        })
    return success(readFileSync(compiled.devsFile))
}

/** The partition of program and settings, as a machine leaves it that was given both. */
export async function partitionOf(program: Uint8Array, settings: Settings): Promise<Outcome<Buffer>> {
    const flash = new MemoryFlash()
    try {
        await provision({ flash, deviceId, bytecode: program, settings })
    } catch (error) {
        return failure("failed", "settings", messageOf(error), { who: "maker" })
    }
    return success(Buffer.from(flash.load()))
}

export async function buildImage(
    board: FactoryBoard,
    base: Uint8Array,
    program: Uint8Array,
    settings: Settings,
): Promise<Outcome<BuiltImage>> {
    const partition = await partitionOf(program, settings)
    if (!partition.ok) return partition
    const image = assembleImage(board, base, partition.value)
    if (!image.ok) return image
    return success({
        board: board.name,
        bytes: image.value,
        sha256: hashOf(image.value),
        program: hashOf(program),
    })
}

/** The manifest that ESP Web Tools reads; `path` is relative to it. */
export function webToolsManifest(board: FactoryBoard, version: string, path: string) {
    return {
        name: `Parley ${board.name}`,
        version,
        new_install_prompt_erase: true,
        builds: [{ chipFamily: chips[board.archId].family, parts: [{ path, offset: 0 }] }],
    }
}

export function hashOf(bytes: Uint8Array): string {
    return createHash("sha256").update(bytes).digest("hex")
}
