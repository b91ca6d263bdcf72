/**
 * The reservation in the world: 200 seeds and every seed that ever failed, and the checkers themselves, which must object to a protocol
 * with one rule broken. The long form is `npm run prove -- --seeds A..B`.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import { runSeed } from "../../sim/world/reservation/run.ts"
import { type Mutant, mutants } from "../prove/mutants.ts"
import { catchMutants, proveReservation } from "../prove/reservation.ts"
import { failedSeeds } from "./failed-seeds.ts"

const minute = { timeout: 110_000 }
const folder = "servers/routing/reservation"

test("200 seeds, and every seed that ever failed, break none of the rules I1 to I9", minute, async () => {
    const more = failedSeeds.map(({ seed }) => seed).filter(seed => seed > 200)
    const seeds = [...Array.from({ length: 200 }, (_, index) => index + 1), ...new Set(more)]
    const { broken, figures } = await proveReservation({ seeds, mutants: false, progress: () => {} })
    const stories = broken.map(
        ({ seed, violation }) =>
            `seed ${seed}, ${violation?.checker}: ${violation?.seen}; npm run prove -- --seed ${seed} --trace`,
    )
    assert.deepEqual(stories, [])
    // No rule went without a case, and what I4 passes over is the exception.
    assert.ok(figures.connectedChecked > 1000, `${figures.connectedChecked} trees looked at when they became active`)
    assert.ok(figures.connectedSkipped < figures.connectedChecked / 10, `${figures.connectedSkipped} passed over`)
    assert.ok(figures.treesCompared > 400, `${figures.treesCompared} trees compared server by server`)
    assert.ok(figures.answersChecked > 2000, `${figures.answersChecked} wishes answered`)
    assert.ok(figures.repairsPossible > 40, `${figures.repairsPossible} repairs judged`)
    assert.ok(figures.waysWalked > 50_000, `${figures.waysWalked} ways up walked`)
})

test("the same seed gives the same run, and another one another", () => {
    for (const seed of [3, 10, 17, 20]) {
        const first = runSeed(seed)
        const again = runSeed(seed, { reader: () => {} })
        assert.equal(again.hash, first.hash, `seed ${seed}`)
        assert.equal(again.events, first.events)
        assert.notEqual(runSeed(seed + 1).hash, first.hash)
    }
})

test("the story of a seed can be read", () => {
    const lines: string[] = []
    runSeed(17, { reader: line => lines.push(line) })
    const story = lines.join("\n")
    for (const words of [
        /group server: s\d+ version 1 from rs\d+/,
        /rs\d+ -> rs\d+ {2}REQ s\d+\/1\.1 for rs/,
        /is ACTIVE: rs/,
    ])
        assert.match(story, words)
    assert.match(lines[0], /^ +\d+\.\d{5} s {2}/)
    assert.doesNotMatch(story, /REFRESH/)
})

test("each of the eight mutants of the protocol is caught", minute, async () => {
    const caught = await catchMutants(mutants, 300, () => {})
    assert.deepEqual(
        caught.filter(({ by }) => !by).map(({ mutant }) => mutant.name),
        [],
    )
    assert.equal(caught.length, 8)
})

/** Rules that the eight mutants do not break. */
const others: (Mutant & { checker: string })[] = [
    {
        name: "keeps-what-is-dropped",
        what: "a source that is told to drop a session keeps its tree",
        checker: "I2",
        seed: 1,
        file: `${folder}/source.ts`,
        find: "if (session.current) this.node.tearDown(session.current)",
        replace: "if (session.current && session.wish.dspUnits === 0) this.node.tearDown(session.current)",
    },
    {
        name: "wrong-label",
        what: "a child asks for another label than it waits for",
        checker: "I6",
        seed: 1,
        file: `${folder}/node.ts`,
        find: "{ label: this.context.labelFor(sid, selected.from) }",
        replace: "{ label: this.context.labelFor(sid, selected.from) + 1 }",
    },
    {
        name: "no-answer",
        what: "a source that gives up says nothing",
        checker: "I7",
        seed: 1,
        file: `${folder}/source.ts`,
        find: '} else context.out.push({ type: "refused", sid, ep, short: named() })',
        replace: "}",
    },
    {
        name: "no-flood",
        what: "advertisements of others are not passed on",
        checker: "I8",
        seed: 1,
        file: "servers/routing/route/link-state.ts",
        find: "if (news.length > 0) effects.push(...this.flood(news, from))",
        replace: "",
    },
    {
        name: "no-repair",
        what: "a source does nothing about a broken tree",
        checker: "I9",
        seed: 17,
        file: `${folder}/source.ts`,
        find: "private repair(session: SourceSession) {",
        replace: "private repair(session: SourceSession) {\n        return",
    },
]

test("the rules that no mutant breaks are noticed as well when they are broken", minute, async () => {
    const caught = await catchMutants(others, 100, () => {})
    for (const { mutant, by } of caught) {
        const { checker } = others.find(({ name }) => name === mutant.name)!
        assert.equal(by?.checker, checker, `${mutant.name}: ${by?.seen ?? "not noticed"}`)
    }
})
