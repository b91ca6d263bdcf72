import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { layoutLimits, planLayout } from "../../cli/layout.ts"
import { limits } from "../../protocol/limits.ts"
import { isIdentifier, utf8Bytes } from "../../protocol/text.ts"

describe("the layout of a system", () => {
    test("[claim 2] gives every part an IP address of its own, also at its largest", () => {
        const { broker, group, sim, servers, boards } = planLayout("127.9", layoutLimits.boards, layoutLimits.servers)
        const addresses = [broker.host, group.host, sim.host, ...servers.map(s => s.ip), ...boards.map(b => b.ip)]
        assert.equal(new Set(addresses).size, 3 + layoutLimits.servers + layoutLimits.boards)
        for (const address of addresses) assert.match(address, /^127\.9\.\d+\.\d+$/)
    })

    test("puts each board nearest to one routing server, the first three to three different ones", () => {
        const { servers, boards } = planLayout("127.0", 3, 3)
        const nearest = boards.map(board => {
            const sorted = [...servers].sort((a, b) => board.delaysMs[a.ip] - board.delaysMs[b.ip])
            assert.ok(board.delaysMs[sorted[0].ip] < board.delaysMs[sorted[1].ip], "one is nearest")
            return sorted[0].id
        })
        assert.deepEqual(nearest, ["rs-a", "rs-b", "rs-c"])
    })

    test("has names and identifiers that the protocol takes, all different", () => {
        const { servers, boards } = planLayout("127.0", layoutLimits.boards, layoutLimits.servers)
        for (const { id } of [...servers, ...boards]) assert.ok(isIdentifier(id), id)
        for (const { name } of boards) assert.ok(utf8Bytes(name) <= limits.nameBytes)
        assert.equal(new Set(boards.map(board => board.name)).size, boards.length)
        assert.equal(new Set(boards.map(board => board.id)).size, boards.length)
    })
})
