/**
 * The DeviceScript programs of these tests, compiled, and boards that run them.
 */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { Board, type BoardOptions } from "../../sim/board.ts"
import { readServices } from "../../sim/simulation.ts"
import { loopbackAddress } from "../support/addresses.ts"

export const programsFolder = fileURLToPath(new URL("programs/", import.meta.url))
const outFolder = fileURLToPath(new URL("../../.build/test-sim/", import.meta.url))

export async function program(name: string): Promise<Buffer> {
    const result = await compileFirmware(`${programsFolder}${name}.ts`, `${outFolder}${name}-${process.pid}.devs`)
    if (!result.ok) throw new Error(describeProblems(result.problems))
    return readFileSync(result.devsFile)
}

/** The debug information of a program that `program` has compiled. */
export function debugFileOf(name: string): string {
    return `${outFolder}${name}-${process.pid}.json`
}

export async function boardWith(name: string, options: Partial<BoardOptions> = {}): Promise<Board> {
    const bytecode = await program(name)
    return Board.create({ id: "room-1", ipAddress: loopbackAddress(), bytecode, services: readServices(), ...options })
}
