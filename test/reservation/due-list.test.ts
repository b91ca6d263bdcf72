import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Due, DueList } from "../../servers/routing/reservation/due-list.ts"
import { seededRandom } from "../support/random.ts"

interface Named extends Due {
    name: string
}

const never = Number.POSITIVE_INFINITY
const named = (name: string): Named => ({ name, dueMs: never, queuedMs: never })

/** Names of all that are due, in the order in which they come. */
function takeAll(list: DueList<Named>, nowMs: number): string[] {
    const names: string[] = []
    for (let item = list.take(nowMs); item; item = list.take(nowMs)) names.push(item.name)
    return names
}

describe("the list of what is due", () => {
    test("gives what is due, earliest first, each once, and nothing before its time", () => {
        const list = new DueList<Named>()
        for (const [name, dueMs] of [
            ["c", 30],
            ["a", 10],
            ["b", 20],
        ] as const)
            list.set(named(name), dueMs)
        assert.equal(list.nextMs(), 10)
        assert.deepEqual(takeAll(list, 9), [])
        assert.deepEqual(takeAll(list, 20), ["a", "b"])
        assert.deepEqual(takeAll(list, 20), [])
        assert.equal(list.nextMs(), 30)
        assert.deepEqual(takeAll(list, 1000), ["c"])
        assert.equal(list.nextMs(), never)
    })

    test("follows a time that moves, in either direction, and forgets what has nothing to do any more", () => {
        const list = new DueList<Named>()
        const [later, earlier, gone] = [named("later"), named("earlier"), named("gone")]
        list.set(later, 10)
        list.set(later, 50)
        list.set(earlier, 40)
        list.set(earlier, 5)
        list.set(gone, 20)
        list.forget(gone)
        assert.deepEqual(takeAll(list, 49), ["earlier"])
        assert.deepEqual(takeAll(list, 50), ["later"])
        assert.deepEqual(takeAll(list, 1000), [])
    })

    test("takes back what is set again while it is taken, and what was forgotten", () => {
        const list = new DueList<Named>()
        const one = named("one")
        list.set(one, 10)
        assert.equal(list.take(10), one)
        list.set(one, 12)
        assert.deepEqual(takeAll(list, 11), [])
        list.forget(one)
        list.set(one, 14)
        assert.deepEqual(takeAll(list, 13), [])
        assert.deepEqual(takeAll(list, 14), ["one"])
    })

    test("keeps thousands of moving times as a plain search would, and never says too late when the next one is", () => {
        const { next: random } = seededRandom(3)
        const list = new DueList<Named>()
        const items = Array.from({ length: 200 }, (_, i) => named(`${i}`))
        for (let nowMs = 0; nowMs < 2000; nowMs++) {
            for (let i = 0; i < 20; i++) {
                const item = items[Math.floor(random() * items.length)]
                if (random() < 0.1) list.forget(item)
                else list.set(item, nowMs + 1 + Math.floor(random() * 300))
            }
            const earliest = Math.min(...items.map(({ dueMs }) => dueMs))
            assert.ok(list.nextMs() <= earliest)
            const due = items.filter(({ dueMs }) => dueMs <= nowMs).map(({ name }) => name)
            assert.deepEqual(takeAll(list, nowMs).sort(), due.sort())
        }
    })
})
