/**
 * The protocol with one rule broken, and whether the checkers see it: the test of the checkers.
 *
 * A mutant is an edit of source text. The sources that the world is made of are copied to .build/mutants/<name>/ with the same
 * layout, and the copy is edited and run; the product is not touched. An edit that does not fit exactly once is an error: the code
 * has moved, and the mutant with it.
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

export interface Mutant {
    name: string
    /** What is broken, as people say it. */
    what: string
    file: string
    find: string
    replace: string
}

const folder = "servers/routing/reservation"

/** The eight of routing-spec 5. */
export const mutants: readonly Mutant[] = [
    {
        name: "capacity-off-by-one",
        what: "a link takes one kbit/s more than it has",
        file: `${folder}/ledger.ts`,
        find: "if (this.free(peer, sid) < kbps) return false",
        replace: "if (this.free(peer, sid) + 1 < kbps) return false",
    },
    {
        name: "late-candidates",
        what: "a request that comes after the selection may still become the way up [S2]",
        file: `${folder}/node.ts`,
        find: 'if (known && known.state !== "collecting") return',
        replace: 'if (known && known.state === "committed") return',
    },
    {
        name: "no-tombstone",
        what: "a late request revives an attempt that is over [S3]",
        file: `${folder}/context.ts`,
        find: "return this.tombstones.has(tombstoneOf(sid, ep))",
        replace: "return false",
    },
    {
        name: "forward-before-select",
        what: "a server passes the request on before it has selected its upstream neighbour [S1]",
        file: `${folder}/node.ts`,
        find: "context.add(attempt)\n        if (request.window === 0)",
        replace: "context.add(attempt)\n        this.forward(attempt)\n        if (request.window === 0)",
    },
    {
        name: "commit-early",
        what: "the session is active as soon as one destination has answered [S4]",
        file: `${folder}/source.ts`,
        find: "if (trial.alive.size === attempt.request.dests.length) this.activate(session, trial)",
        replace: "if (trial.alive.size > 0) this.activate(session, trial)",
    },
    {
        name: "dsp-not-freed",
        what: "an attempt that is over keeps its DSP units",
        file: `${folder}/context.ts`,
        find: "this.ledger.releaseDsp(sid, ep)",
        replace: "",
    },
    {
        name: "no-teardown",
        what: "a server that hears no refresh any more keeps what it holds",
        file: `${folder}/node.ts`,
        find: "attempt.expiresMs = nowMs + limits.leaseMs",
        replace: "attempt.expiresMs = Number.POSITIVE_INFINITY",
    },
    {
        name: "no-parent-lease",
        what: "a parent keeps the link to a child that it hears nothing of any more",
        file: `${folder}/node.ts`,
        find: "child.leaseMs = this.context.nowMs + this.context.limits.leaseMs",
        replace: "child.leaseMs = Number.POSITIVE_INFINITY",
    },
]

const root = fileURLToPath(new URL("../..", import.meta.url))
const sources = ["protocol", folder, "servers/routing/route", "sim/world"]

/** Makes the mutant's copy and returns the address of its `run.ts`. */
export function makeMutant({ name, file, find, replace }: Mutant): string {
    const copy = join(root, ".build", "mutants", name)
    rmSync(copy, { recursive: true, force: true })
    for (const source of sources) {
        mkdirSync(dirname(join(copy, source)), { recursive: true })
        cpSync(join(root, source), join(copy, source), { recursive: true })
    }
    const text = readFileSync(join(copy, file), "utf8")
    const parts = text.split(find)
    if (parts.length !== 2)
        throw new Error(`mutant ${name}: its text stands ${parts.length - 1} times in ${file}, not once: ${find}`)
    writeFileSync(join(copy, file), parts.join(replace))
    return pathToFileURL(join(copy, "sim/world/reservation/run.ts")).href
}

/** The code as it is. */
export const originalRun = pathToFileURL(join(root, "sim/world/reservation/run.ts")).href
