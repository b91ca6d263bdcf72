import assert from "node:assert/strict"
import { describe, test } from "node:test"
import * as messages from "../../protocol/messages.ts"
import { crashNote, itemNote } from "../../protocol/notes.ts"
import { problemWith, type Shape } from "../../protocol/shape.ts"
import { doneNote, hasShape, messageNote } from "../../src/appliance/answers.ts"
import { parseJson } from "../../src/mqtt/text.ts"

/** A shape in the device's notation. */
function noteOf(shape: Shape<any>): string {
    switch (shape.kind) {
        case "int":
            return `i${shape.min}~${shape.max}`
        case "text":
            return `t${shape.min}~${shape.max}`
        case "oneOf":
            for (const code of shape.of) assert.ok(code.length >= 1 && code.length <= 24)
            return "o"
        case "list":
            return `l${shape.min}~${shape.max}${noteOf(shape.of)}`
        case "record": {
            const fields = Object.entries<Shape<any>>(shape.of)
            return `{${fields.map(([name, field]) => `${name}${field.optional ? "?" : ""}:${noteOf(field)}`).join(",")}}`
        }
    }
}

const pairs: [string, Shape<any>][] = [
    [itemNote, messages.agendaItemShape],
    [crashNote, messages.crashShape],
    [messageNote("agenda"), messages.agendaShape],
    [messageNote("roster"), messages.rosterShape],
    [messageNote("bye"), messages.byeShape],
    [messageNote("refused"), messages.refusedShape],
    [messageNote("done"), messages.doneShape],
    [doneNote("hello"), messages.helloDoneShape],
    [doneNote("time"), messages.timeDoneShape],
    [doneNote("candidates"), messages.candidatesDoneShape],
    [doneNote("directory"), messages.directoryDoneShape],
    [doneNote("book"), messages.bookDoneShape],
    [doneNote("attach"), messages.attachDoneShape],
    [doneNote("join"), messages.joinDoneShape],
    [doneNote("leave"), messages.doneShape],
]

/** A deterministic source of numbers, so that a failure can be played again. */
function randomFrom(seed: number): (below: number) => number {
    let state = seed
    return below => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return Math.floor((state / 4294967296) * below)
    }
}

/** A value of the shape, now and then spoiled. */
function sampleOf(shape: Shape<any>, random: (below: number) => number): any {
    if (random(40) === 0) return [undefined, null, -1, 1.5, "", "x".repeat(80), [], {}, true, 1e20][random(10)]
    switch (shape.kind) {
        case "int":
            return [shape.min, shape.max, shape.min + random(2)][random(3)]
        case "text":
            return ["x", "é", "😀"][random(3)].repeat(1 + random(shape.max))
        case "oneOf":
            return shape.of[random(shape.of.length)]
        case "list":
            return Array.from({ length: random(shape.max + 2) }, () => sampleOf(shape.of, random))
        case "record": {
            const value: any = { further: 1 }
            for (const [name, field] of Object.entries<Shape<any>>(shape.of))
                if (!field.optional || random(2)) value[name] = sampleOf(field, random)
            return value
        }
    }
}

describe("the device's notes of the shapes", () => {
    test("say the same as the protocol's shapes, letter by letter", () => {
        for (const [note, shape] of pairs) assert.equal(note, noteOf(shape))
    })

    test("accept and refuse the same values as the protocol's validator", () => {
        const seed = Date.now() % 1_000_000
        const random = randomFrom(seed)
        const counts = { fit: 0, unfit: 0 }
        for (let i = 0; i < 20000; i++) {
            const [note, shape] = pairs[random(pairs.length)]
            const value = sampleOf(shape, random)
            const problem = problemWith(shape, value)
            // Codes of a newer server pass here: that is the one difference.
            const expected = problem === "" || problem.includes("must be one of")
            const fits = hasShape(note, value)
            counts[fits ? "fit" : "unfit"]++
            if (problem.includes("must be one of")) continue
            assert.equal(fits, expected, `seed ${seed}, ${i}: ${problem} ${JSON.stringify(value)}`)
        }
        assert.ok(counts.fit > 2000 && counts.unfit > 2000, JSON.stringify(counts))
    })
})

describe("payloads", () => {
    test("are parsed only when they are JSON and hold nothing that aborts the device's parser", () => {
        assert.deepEqual(parseJson(Buffer.from('{"a":[{"b":1}]}')), { a: [{ b: 1 }] })
        for (const text of ["", "{", "[".repeat(9) + "]".repeat(9), "[".repeat(1024), "nul"])
            assert.equal(parseJson(Buffer.from(text)), undefined)
        // Brackets in a text must not hide those that follow it.
        assert.equal(parseJson(Buffer.from(`["${"]".repeat(900)}", ${"[".repeat(100)}`)), undefined)
        assert.equal(parseJson(Buffer.from('["\\uffff"]')), undefined)
        assert.equal(parseJson(Buffer.from([0x22, 0xe2, 0x82])), undefined)
    })
})
