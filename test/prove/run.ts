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
    flapping: {
        what: "200 routing servers whose links flap for an hour agree afterwards, and no next hop leads in a circle",
        count: 1,
        async run(rounds, seed, progress) {
            const { flapForAnHour } = await import("../route/flapping.ts")
            const sum = { servers: 200, events: 0, messages: 0, routeChangesPerPairAndHour: 0 }
            for (let round = 0; round < rounds; round++) {
                const result = flapForAnHour(sum.servers, seed + round)
                sum.events += result.events
                sum.messages += result.messages
                sum.routeChangesPerPairAndHour += result.routeChangesPerPairAndHour / rounds
                progress(`seed ${seed + round}: ${result.events} events`)
            }
            return sum
        },
        // Databases and next hops are asserted while it runs.
        wrong({ routeChangesPerPairAndHour }) {
            return routeChangesPerPairAndHour < 3 ? "" : `${routeChangesPerPairAndHour} route changes a pair and hour`
        },
    },
    fuzz: {
        what: "hostile byte streams and messages do not bring the firmware down",
        count: 100_000,
        async run(streams, seed, progress) {
            const { runFuzz } = await import("../firmware/fuzz.ts")
            const { failures, ...figures } = await runFuzz({
                streams,
                seed,
                onProgress: done => progress(`${done} of ${streams} streams`),
            })
            for (const failure of failures) progress(failure)
            return { ...figures, panics: failures.length }
        },
        wrong({ panics }) {
            return panics === 0 ? "" : `${panics} streams brought it down`
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
