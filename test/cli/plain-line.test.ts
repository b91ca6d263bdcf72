import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { plainLine } from "../../cli/plain-line.ts"

describe("a line of a part's log", () => {
    test("is read by people: time, message, fields, and how bad it is", () => {
        const line = {
            level: 50,
            time: 1795375416208,
            pid: 7,
            hostname: "vm",
            name: "broker",
            id: "rs-a",
            msg: "refused",
        }
        assert.equal(plainLine(JSON.stringify(line)), "19:23:36 error: refused  id=rs-a")
        assert.equal(
            plainLine(JSON.stringify({ ...line, level: 30, id: undefined, at: { a: 1 } })),
            '19:23:36 refused  at={"a":1}',
        )
    })

    test("stays as it is when no logger wrote it", () => {
        for (const line of ["Error: out of paper", '{"ready":true}', "null", "3", '{"time":1e99,"msg":"x"}', ""])
            assert.equal(plainLine(line), line)
    })
})
