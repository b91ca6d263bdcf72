/**
 * `npm run prove -- <name> [--count N] [--seed S] [--json]`: the long proofs, each a function that tests run in a short form.
 * `npm run prove -- long --real [--count MINUTES]`: in real time.
 * `npm run prove -- [reservation] --seeds A..B [--no-mutants] [--json]` and `--seed S --trace [--all]`: the reservation's.
 * Progress goes to standard error, the figures are the last line of standard output.
 */

import { cpus, totalmem } from "node:os"
import { parseArgs } from "node:util"
import { wrongWithAppliance } from "./appliance/wrong.ts"

type Figures = Record<string, number>

interface Ways {
    /** Reservation only: mutants are run as well. */
    mutants: boolean
    /** Long only: in real time, not in virtual. */
    real: boolean
}

interface Proof {
    what: string
    /** Rounds when none are asked for. */
    count: number
    run(count: number, seed: number, progress: (line: string) => void, ways: Ways): Promise<Figures>
    /** What the figures break, or "". */
    wrong(figures: Figures): string
}

/** Six named faults and thirty others by seed. */
const doctorCases = 36

const proofs: Record<string, Proof> = {
    reservation: {
        what: "routing servers that crash, cut and lose messages break none of I1-I9, and each broken rule is noticed",
        count: 2000,
        async run(count, seed, progress, { mutants: withMutants }) {
            const { proveReservation } = await import("./reservation.ts")
            const seeds = Array.from({ length: count }, (_, round) => seed + round)
            const { broken, figures } = await proveReservation({ seeds, mutants: withMutants, progress })
            for (const { seed, violation } of broken) {
                progress(`seed ${seed}, ${violation?.checker}: ${violation?.seen}`)
                progress(`    again: npm run prove -- --seed ${seed} --trace`)
            }
            return figures
        },
        wrong({ violations, mutants, mutantsCaught }) {
            if (violations > 0) return `${violations} seeds break a rule`
            return mutantsCaught < mutants ? `${mutants - mutantsCaught} of ${mutants} mutants are not noticed` : ""
        },
    },
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
    factory: {
        what: "a batch of 200 units, killed (-9) again and again: unique identities, nothing doubled, nothing lost",
        count: 4,
        async run(kills, seed, progress) {
            const { makeBatch } = await import("../factory/batch.ts")
            return await makeBatch({ units: 200, kills, seed, progress })
        },
        wrong({ units, doubled, lost, wrongSecrets, exposed }) {
            return units === 200 && doubled + lost + wrongSecrets + exposed === 0
                ? ""
                : `${units} units, ${doubled} doubled, ${lost} lost, ${wrongSecrets} wrong secrets, ${exposed} exposed`
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
    appliance: {
        what: "sessions, lost brokers, power cuts and hostile input neither bring an appliance down nor unmute it",
        count: 10_000,
        async run(count, seed, progress) {
            const { proveAppliance, sizeOf } = await import("./appliance/appliance.ts")
            // jacdac-ts talks on the console; standard output is for the figures.
            console.log = console.info = console.debug = () => {}
            const figures = await proveAppliance(sizeOf(count), seed, progress)
            const { proveDoctor } = await import("./doctor.ts")
            const cases = Math.max(1, Math.min(doctorCases, Math.round((doctorCases * count) / 10_000)))
            return { ...figures, ...(await proveDoctor({ cases, seed, progress })) }
        },
        wrong(figures) {
            return wrongWithAppliance(figures) || wrongWithDoctor(figures)
        },
    },
    datagrams: {
        what: "hostile datagrams neither end a routing server nor take its memory, nor harm a conversation beside them",
        count: 10_000_000,
        async run(count, seed, progress) {
            const { proveDatagrams, wrongWithDatagrams } = await import("./datagrams.ts")
            const figures = await proveDatagrams({ count, seed, progress })
            return judged(figures, wrongWithDatagrams(figures), progress)
        },
        wrong({ broken }) {
            return broken === 0 ? "" : "a datagram did harm, as told above"
        },
    },
    peers: {
        what: "gstreamer, ffmpeg and baresip talk to appliances through a session, and tshark finds nothing malformed",
        count: 1,
        async run(_count, _seed, progress) {
            const { provePeers, wrongWithPeers } = await import("./peers/peers.ts")
            const figures = await provePeers(progress)
            return judged(figures, wrongWithPeers(figures), progress)
        },
        wrong({ broken }) {
            return broken === 0 ? "" : "a peer is not right, as told above"
        },
    },
    long: {
        what: "twelve rooms talk for so many minutes: memory flat, clocks 200 ppm off followed, nothing held afterwards",
        count: 480,
        async run(minutes, seed, progress, { real: isReal }) {
            const { talkForLong, wrongWithLong } = await import("./long.ts")
            const figures = await talkForLong({ minutes, seed, isReal, progress })
            return judged(figures, wrongWithLong(figures), progress)
        },
        wrong({ broken }) {
            return broken === 0 ? "" : "as told above"
        },
    },
    doctor: {
        what: "parley device doctor names what is wrong with a board over its serial port, in 95 of 100 cases",
        count: doctorCases,
        async run(cases, seed, progress) {
            const { proveDoctor } = await import("./doctor.ts")
            return { ...(await proveDoctor({ cases, seed, progress })) }
        },
        wrong(figures) {
            return wrongWithDoctor(figures)
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

/** Of `long --real`. */
const realMinutes = 10

/** Figures of a proof whose judge is loaded with it: `broken` is 1 when something is wrong, which is told at once. */
function judged(figures: Figures, what: string, progress: (line: string) => void): Figures {
    if (what) progress(what)
    return { ...figures, broken: what ? 1 : 0 }
}

function wrongWithDoctor({ doctorCases, doctorRight }: Figures): string {
    return doctorRight >= 0.95 * doctorCases ? "" : `the doctor is wrong in ${doctorCases - doctorRight} cases`
}

function usage(problem: string): never {
    const names = Object.entries(proofs).map(([name, { what, count }]) => `  ${name}  ${what} (${count} times)`)
    const text = [
        ...[problem, "", "usage: npm run prove -- <name> [--count N] [--seed S] [--json]"],
        "       npm run prove -- --seeds A..B [--no-mutants] [--json]     the reservation over these seeds",
        "       npm run prove -- --seed S --trace [--all]                 the story of one seed; --all: with keep-alives",
        "       npm run prove -- long --real [--count MINUTES]            in real time, 10 minutes",
        ...["", ...names],
    ]
    process.stderr.write(`${text.join("\n")}\n`)
    process.exit(2)
}

function parse() {
    try {
        const text = { type: "string" } as const
        const flag = { type: "boolean" } as const
        const options = {
            count: text,
            seed: text,
            seeds: text,
            json: flag,
            trace: flag,
            all: flag,
            "no-mutants": flag,
            real: flag,
        }
        const { values, positionals } = parseArgs({ options, allowPositionals: true })
        const number = (name: string, value: string | undefined, otherwise: number) => {
            const given = value === undefined ? otherwise : Number(value)
            return Number.isInteger(given) && given > 0 ? given : usage(`--${name}: a positive integer is needed`)
        }
        const isReservation = values.seeds !== undefined || values.trace === true
        const [name = isReservation ? "reservation" : undefined, ...rest] = positionals
        if (name === undefined || rest.length > 0) return usage("one proof is needed")
        if (!Object.hasOwn(proofs, name)) return usage(`no proof ${name}`)
        if (isReservation && name !== "reservation") return usage("--seeds and --trace are of the reservation")
        const proof = proofs[name]
        const [from, to = from, ...more] = (values.seeds ?? "").split("..")
        if (more.length > 0 || (values.seeds !== undefined && (values.seed ?? values.count) !== undefined))
            return usage("--seeds A..B, without --seed and --count")
        const first = values.seeds === undefined ? values.seed : from
        const seed = number("seed", first, 1 + Math.floor(Math.random() * 0x7ffffffe))
        const last = values.seeds === undefined ? undefined : number("seeds", to, seed)
        if (last !== undefined && last < seed) return usage("--seeds A..B: A is not after B")
        const { real = false } = values
        if (real && name !== "long") return usage("--real is of the long proof")
        const most = real ? realMinutes : proof.count
        const count = last === undefined ? number("count", values.count, most) : last - seed + 1
        const { json = false, trace = false, all = false, "no-mutants": noMutants = false } = values
        return { name, proof, count, seed, json, trace, all, ways: { mutants: !noMutants, real } }
    } catch (error) {
        return usage((error as Error).message)
    }
}

/** The story of one seed, for people. */
async function tell(seed: number, everything: boolean): Promise<never> {
    const { runSeed } = await import("../../sim/world/reservation/run.ts")
    const reader = (line: string) => process.stdout.write(`${line}\n`)
    const { violation, hash, events } = runSeed(seed, { reader, everything })
    process.stderr.write(
        `seed ${seed}: ${events} events, trace ${hash}, ${violation ? "a rule is broken" : "no rule is broken"}\n`,
    )
    process.exitCode = violation ? 1 : 0
    // What is written to a pipe is not lost.
    return new Promise(() => process.stdout.write("", () => process.exit()))
}

const { name, proof, count, seed, json, trace, all, ways } = parse()
if (trace) await tell(seed, all)
process.stderr.write(`${name}: ${proof.what}, ${count} times, seed ${seed}\n`)
const startedMs = performance.now()
const measured = await proof.run(count, seed, line => process.stderr.write(`${line}\n`), ways)
const figures: Figures = { ...measured, seconds: Math.round((performance.now() - startedMs) / 1000) }
const machine = { cpus: cpus().length, memoryBytes: totalmem(), node: process.version }
const problem = proof.wrong(figures)
if (json) process.stdout.write(`${JSON.stringify({ figures, machine, seed })}\n`)
else for (const [figure, value] of Object.entries(figures)) process.stdout.write(`${figure}: ${value}\n`)
if (problem) process.stderr.write(`${name} fails: ${problem} (seed ${seed})\n`)
process.exit(problem ? 1 : 0)
