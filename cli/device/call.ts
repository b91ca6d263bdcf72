/**
 * What the verbs of `parley device` have in common: the port that is meant, files that are given, values as lines for people.
 */

import { readFileSync } from "node:fs"
import { failure, messageOf, type Outcome, success, usage } from "../outcome.ts"
import type { Answer, Call } from "../shell.ts"
import { BoardLink, type LinkOptions } from "./board-link.ts"

export const configBytesMax = 16 * 1024

export async function withBoard(
    call: Call,
    act: (link: BoardLink) => Promise<Outcome<Answer>>,
    options: LinkOptions = {},
): Promise<Outcome<Answer>> {
    const path = typeof call.flags.port === "string" ? call.flags.port : process.env.PARLEY_PORT
    if (!path) return usage("which board? --port PATH is needed (or PARLEY_PORT)")
    const opened = await BoardLink.open(path, options)
    if (!opened.ok) return opened
    try {
        return await act(opened.value)
    } finally {
        await opened.value.close()
    }
}

export function noAppliance(link: BoardLink) {
    return failure("timeout", "no-answer", `no appliance answers at ${link.path}`, {
        who: "you",
        next: "parley device doctor",
    })
}

/** The content of a small text file, or of standard input, without the end of its last line. */
export function secretText(path: string): Outcome<string> {
    const bytes = fileBytes(path === "-" ? "/dev/stdin" : path, configBytesMax)
    return bytes.ok ? success(bytes.value.toString("utf8").replace(/\r?\n$/, "")) : bytes
}

export function fileBytes(path: string, bytesMax: number): Outcome<Buffer> {
    try {
        const bytes = readFileSync(path)
        return bytes.length <= bytesMax ? success(bytes) : usage(`${path} is larger than ${bytesMax} bytes`)
    } catch (error) {
        return usage(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`)
    }
}

export function described(value: object): string {
    return Object.entries(value)
        .map(([name, one]) => {
            const text = typeof one === "object" && one !== null ? JSON.stringify(one) : String(one ?? "-")
            return `${name.padEnd(14)} ${text || "-"}`
        })
        .join("\n")
}
