/**
 * `npm run prove -- <name> [--count N] [--seed S] [--json]`: the long proofs, each a function that tests run in a short form.
 * Progress goes to standard error, the figures are the last line of standard output.
 */

import { cpus, totalmem } from "node:os"
import { parseArgs } from "node:util"

type Figures = Record<string, number>

interface Proof {
    what: string
    /** Rounds when none are asked for. */
    count: number
    run(count: number, seed: number, progress: (line: string) => void): Promise<Figures>
    /** What the figures break, or "". */
    wrong(figures: Figures): string
}

const proofs: Record<string, Proof> = {
    kills: {
        what: "kill -9 of the group server in the middle of bookings loses and doubles nothing acknowledged",
        count: 100,
        async run(kills, seed, progress) {
            const { killInBookings } = await import("../group/kill.ts")
            return { ...(await killInBookings({ kills, seed, progress })) }
        },
        wrong({ lost, doubled, overlapping }) {
            return lost + doubled + overlapping === 0
                ? ""
                : `${lost} lost, ${doubled} doubled, ${overlapping} overlapping`
        },
    },
}

function usage(problem: string): never {
    const names = Object.entries(proofs).map(([name, { what, count }]) => `  ${name}  ${what} (${count} times)`)
    const text = [problem, "", "usage: npm run prove -- <name> [--count N] [--seed S] [--json]", "", ...names]
    process.stderr.write(`${text.join("\n")}\n`)
    process.exit(2)
}

function parse() {
    try {
        const text = { type: "string" } as const
        const options = { count: text, seed: text, json: { type: "boolean" } as const }
        const { values, positionals } = parseArgs({ options, allowPositionals: true })
        const number = (name: string, value: string | undefined, otherwise: number) => {
            const given = value === undefined ? otherwise : Number(value)
            return Number.isInteger(given) && given > 0 ? given : usage(`--${name}: a positive integer is needed`)
        }
        const [name, ...rest] = positionals
        if (name === undefined || rest.length > 0) return usage("one proof is needed")
        if (!Object.hasOwn(proofs, name)) return usage(`no proof ${name}`)
        const proof = proofs[name]
        const count = number("count", values.count, proof.count)
        const seed = number("seed", values.seed, 1 + Math.floor(Math.random() * 0x7ffffffe))
        return { name, proof, count, seed, json: values.json === true }
    } catch (error) {
        return usage((error as Error).message)
    }
}

const { name, proof, count, seed, json } = parse()
process.stderr.write(`${name}: ${proof.what}, ${count} times, seed ${seed}\n`)
const startedMs = performance.now()
const measured = await proof.run(count, seed, line => process.stderr.write(`${line}\n`))
const figures: Figures = { ...measured, seconds: Math.round((performance.now() - startedMs) / 1000) }
const machine = { cpus: cpus().length, memoryBytes: totalmem(), node: process.version }
const problem = proof.wrong(figures)
if (json) process.stdout.write(`${JSON.stringify({ figures, machine, seed })}\n`)
else for (const [figure, value] of Object.entries(figures)) process.stdout.write(`${figure}: ${value}\n`)
if (problem) process.stderr.write(`${name} fails: ${problem} (seed ${seed})\n`)
process.exit(problem ? 1 : 0)
