/**
 * A pseudo-terminal for a board's serial port, at a path that a host opens like `/dev/ttyACM0`.
 *
 * Owns a `socat` (Debian package socat): Node makes no pseudo-terminals itself, and the packages that do compile at
 * installation. The path is there as long as the cable is plugged. Never reads what passes.
 */

import { spawn } from "node:child_process"
import { closeSync, constants, openSync, rmSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import { Duplex } from "node:stream"
import { failure, type Outcome, success } from "../../media/outcome.ts"

export type PtyRefusal = "no-socat" | "no-pty"

export interface Pty {
    path: string
    stream: Duplex
    /** Resolves when the path is gone. */
    unplug(): Promise<void>
}

const startTimeoutMs = 5000

/** Resolves when the path can be opened. */
export async function openPty(path: string): Promise<Outcome<Pty, PtyRefusal>> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // A link that a killed simulator has left.
    rmSync(path, { force: true })
    // Waits for the word of readiness on standard error: "PTY is /dev/pts/3" comes with -d -d, before data is passed on.
    const child = spawn("socat", ["-d", "-d", `PTY,raw,echo=0,mode=600,link=${path}`, "STDIO"], {
        stdio: ["pipe", "pipe", "pipe"],
    })
    const ended = new Promise<void>(resolve => child.once("close", () => resolve()))
    const problem = await new Promise<string | undefined>(resolve => {
        let said = ""
        const timer = setTimeout(() => resolve(`no answer in ${startTimeoutMs} ms`), startTimeoutMs)
        const settle = (problem: string | undefined) => {
            clearTimeout(timer)
            resolve(problem)
        }
        child.once("error", error => settle((error as NodeJS.ErrnoException).code ?? error.message))
        child.once("close", code => settle(`it ended with ${code}: ${said.trim().split("\n").at(-1)}`))
        child.stderr.on("data", text => {
            said = `${said}${text}`.slice(-2000)
            if (said.includes("starting data transfer loop")) settle(undefined)
        })
    })
    if (problem === "ENOENT")
        return failure("no-socat", "a serial port needs the program socat: install the package socat", "you")
    let keeper: number | undefined
    if (problem === undefined) {
        try {
            // Held open and never read, so that socat does not end when a host closes its side.
            keeper = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
        } catch {
            // It has ended already.
        }
    }
    if (keeper === undefined) {
        child.kill("SIGKILL")
        return failure("no-pty", `no serial port at ${path}: socat: ${problem ?? "it ended"}`, "operator")
    }
    child.stderr.resume()
    const stream = Duplex.from({ readable: child.stdout, writable: child.stdin })
    stream.on("error", () => {})
    void ended.then(() => {
        closeSync(keeper)
        stream.destroy()
    })
    return success({
        path,
        stream,
        async unplug() {
            child.kill("SIGTERM")
            await ended
            rmSync(path, { force: true })
        },
    })
}
