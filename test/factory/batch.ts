/**
 * A batch of units made by the real command at a real group server, killed (SIGKILL) again and again in the middle and run
 * again until it is done; then everything that must hold is counted. Used by the test in short and by `npm run prove`.
 */

import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Unit } from "../../cli/factory/batch.ts"
import { readCredentials, verifySecret } from "../../servers/broker/credentials.ts"
import { startGroup } from "../group/servers.ts"
import { eventually } from "../support/deadline.ts"
import { seededRandom } from "../support/random.ts"

const bin = fileURLToPath(new URL("../../bin/parley.mjs", import.meta.url))
const boards = ["room-panel", "box-3", "desk-unit"]

export interface BatchFigures {
    [name: string]: number
    units: number
    kills: number
    /** Identities that are not unique, or endpoints that no unit belongs to. */
    doubled: number
    /** Units that the list has and the folder, the group server or the result file has not. */
    lost: number
    /** Units whose secret is not the one that the group server knows. */
    wrongSecrets: number
    /** Files with a secret that others may read, and secrets on the output. */
    exposed: number
    milliseconds: number
}

export async function makeBatch(options: {
    units: number
    kills: number
    seed: number
    progress: (line: string) => void
}): Promise<BatchFigures> {
    const { units, kills, seed, progress } = options
    const random = seededRandom(seed)
    const group = await startGroup()
    const folder = mkdtempSync(join(tmpdir(), "parley-batch-"))
    const list = join(folder, "units.csv")
    const token = join(folder, "admin.token")
    const out = join(folder, "batch")
    writeFileSync(token, group.server.adminToken, { mode: 0o600 })
    const rows = Array.from(
        { length: units },
        (_, i) => `"Unit ${i}, Zürich",Room ${i % 7},${boards[i % 3]},plant,"pass, ""word"" ${i}"`,
    )
    writeFileSync(list, ["name,room,board,wifi,password", ...rows].join("\n"))
    const words = ["factory", "enrol", list, "--out", out, "--broker", "broker.example:1883"]
    const command = [bin, ...words, "--group", group.server.url, "--token", token]
    const begunMs = performance.now()
    let output = ""

    /** Until its end, or killed when `killAfter` units are there. */
    async function run(killAfter: number): Promise<number | null> {
        const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] })
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding("utf8").on("data", (text: string) => {
                output += text
                const done = Number(/(\d+) of \d+ units\n/.exec(text)?.[1] ?? 0)
                if (done >= killAfter) child.kill("SIGKILL")
            })
        const [code] = await once(child, "close")
        return code
    }

    try {
        let killed = 0
        for (let kill = 1; kill <= kills; kill++) {
            const at = Math.floor((units * kill) / (kills + 1)) + random.int(0, Math.ceil(units / (kills + 1) / 2))
            if ((await run(at)) === null) killed++
            progress(`killed after ${at} units; ${readdirSync(join(out, "units")).length} are kept`)
        }
        const code = await run(Infinity)
        if (code !== 0) throw new Error(`the last run ended with ${code}\n${output}`)

        const files = readdirSync(join(out, "units")).map(name => join(out, "units", name))
        const made = files.map(path => JSON.parse(readFileSync(path, "utf8")) as Unit)
        const ids = new Set(made.map(unit => unit.id))
        const listed = await group.client.all(cursor => group.client.listEndpoints({ cursor }))
        if (!listed.ok) throw new Error(listed.problem.what)
        const endpoints = listed.value
        const result = readFileSync(join(out, "result.csv"), "utf8").trim().split("\n").slice(1)
        const hashes = await hashesIn(join(group.folder, "broker"), endpoints.length)
        return {
            units: made.length,
            kills: killed,
            doubled: made.length - ids.size + endpoints.filter(({ id }) => !ids.has(id)).length,
            lost:
                units -
                new Set(made.map(unit => unit.name)).size +
                made.filter(({ id }) => !hashes.has(id)).length +
                Math.abs(units - result.filter(line => line.endsWith(",enrolled")).length) +
                Math.abs(units - readdirSync(join(out, "labels")).length),
            wrongSecrets: made.filter(({ id, secret }) => !verifySecret(secret, hashes.get(id) ?? "")).length,
            exposed:
                files.filter(path => (statSync(path).mode & 0o077) !== 0).length +
                made.filter(({ secret }) => output.includes(secret) || result.join("\n").includes(secret)).length,
            milliseconds: Math.round(performance.now() - begunMs),
        }
    } finally {
        await group.stop()
        rmSync(folder, { recursive: true, force: true })
    }
}

/** What the broker lets in, by id; the group server writes that a little after its answer. */
export async function hashesIn(credentials: string, count: number): Promise<Map<string, string>> {
    return await eventually(() => {
        const read = readCredentials(credentials)
        if (!read.ok) return undefined
        const entries = read.entries.filter(({ kind }) => kind === "ep")
        return entries.length === count ? new Map(entries.map(({ id, hash }) => [id, hash])) : undefined
    }, "the broker's credentials")
}
