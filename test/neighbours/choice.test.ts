import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { NeighbourChoice } from "../../servers/routing/neighbours/choice.ts"
import {
    type ChoiceEffect,
    type ChoiceEvent,
    choiceDefaults,
    type Member,
} from "../../servers/routing/neighbours/model.ts"
import type { PathMeasurement } from "../../servers/routing/neighbours/rule.ts"

const member = (id: string, more: Partial<Member> = {}): Member => ({
    id,
    ip: `9.${id.charCodeAt(0)}.0.1`,
    tags: [],
    riskGroups: [],
    static: false,
    ...more,
})

const path = (rttMs: number, more: Partial<PathMeasurement> = {}): PathMeasurement => ({
    probesSent: 10,
    probesAnswered: 10,
    rttMs,
    jitterP95Ms: 1,
    loss: 0,
    hops: 3,
    bandwidthKbps: 10_000,
    mutual: true,
    ...more,
})

/** One server in a scripted world: probes find `paths`, whoever is asked accepts unless it is in `decline`. */
class Story {
    readonly choice: NeighbourChoice
    nowMs = 0
    readonly probed: string[] = []
    readonly asked: string[] = []
    readonly dropped: string[] = []
    readonly decline = new Set<string>()

    constructor(
        readonly paths: Record<string, PathMeasurement | undefined>,
        limits = {},
    ) {
        this.choice = new NeighbourChoice("a", { ...choiceDefaults, ...limits })
    }

    tell(event: ChoiceEvent): void {
        const effects = this.choice.step(event, this.nowMs)
        for (const effect of effects) this.perform(effect)
    }

    private perform(effect: ChoiceEffect): void {
        if (effect.type === "probe") {
            this.probed.push(effect.id)
            this.tell({ type: "measured", id: effect.id, path: this.paths[effect.id] })
        }
        if (effect.type === "ask") {
            this.asked.push(effect.id)
            const accepted = !this.decline.has(effect.id)
            this.tell({ type: "answered", by: effect.id, accepted, reason: accepted ? "" : "full", distances: [] })
        }
        if (effect.type === "drop") this.dropped.push(effect.id)
    }

    /** Lets timers fire until `untilMs`. */
    until(untilMs: number): void {
        for (;;) {
            const nextMs = this.choice.nextTickMs()
            if (nextMs > untilMs) break
            this.nowMs = Math.max(this.nowMs, nextMs)
            this.tell({ type: "tick" })
        }
        this.nowMs = untilMs
    }

    list(...members: Member[]): void {
        this.tell({ type: "members", list: [member("a"), ...members] })
        this.tell({ type: "reachable", ids: ["a", ...members.map(m => m.id)] })
    }

    neighbours(): string[] {
        return this.choice
            .neighbours()
            .map(n => `${n.id} ${n.kind}`)
            .sort()
    }
}

describe("the choice of neighbours", () => {
    test("[claim 7] sets the static neighbours first and then determines dynamic ones from what was measured", () => {
        const story = new Story({ b: path(40), c: path(20), d: path(400) }, { degree: 2 })
        story.list(member("b", { static: true }), member("c"), member("d"))
        assert.deepEqual(story.neighbours(), ["b static"])
        story.until(1000)
        assert.deepEqual(story.neighbours(), ["b static", "c dynamic"])
    })

    test("[claim 7] keeps a static neighbour whatever its path is like", () => {
        const story = new Story({ b: path(500), c: undefined })
        story.list(member("b", { static: true }), member("c", { static: true }))
        story.until(3_000_000)
        assert.deepEqual(story.neighbours(), ["b static", "c static"])
    })

    test("[claim 12] makes the tests on each candidate in turn, and says of each what came of it", () => {
        const story = new Story({ b: path(10), c: path(400), d: path(20, { bandwidthKbps: 10 }), e: path(30) })
        story.decline.add("e")
        story.list(member("b"), member("c"), member("d"), member("e"), member("f"))
        story.until(1000)
        const outcome = Object.fromEntries(
            story.choice.trace().map(({ id, trace }) => {
                if (trace?.outcome === "refused by rule") return [id, trace.verdict.accepted ? "?" : trace.verdict.test]
                return [id, trace?.outcome]
            }),
        )
        assert.deepEqual(outcome, { b: "neighbour", c: "delay", d: "bandwidth", e: "declined", f: "path" })
        assert.deepEqual(story.probed.sort(), ["b", "c", "d", "e", "f"])
    })

    test("[claim 9] asks nobody whom the administration policy keeps apart, and drops whom it comes to forbid", () => {
        const story = new Story({ b: path(10), c: path(20) })
        story.tell({ type: "policy", policy: { deny: [["red", "blue"]] } })
        story.tell({
            type: "members",
            list: [member("a", { tags: ["red"] }), member("b", { tags: ["blue"] }), member("c")],
        })
        story.until(1000)
        assert.deepEqual(story.neighbours(), ["c dynamic"])
        assert.deepEqual(story.probed, ["c"], "b is not even probed")
        story.tell({ type: "asked", by: "b", distances: [] })
        assert.deepEqual(story.neighbours(), ["c dynamic"], "and b is refused when it asks")
        story.tell({ type: "policy", policy: { deny: [["red", "green"]] } })
        story.until(2000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "c dynamic"])
        story.tell({ type: "policy", policy: { deny: [["red", "blue"]] } })
        assert.deepEqual(story.neighbours(), ["c dynamic"])
        assert.deepEqual(story.dropped, ["b"])
    })

    test("[claim 10] is repeated when a new routing server is added to the network", () => {
        const story = new Story({ b: path(10), c: path(20) })
        story.list(member("b"))
        story.until(1000)
        assert.deepEqual(story.neighbours(), ["b dynamic"])
        story.list(member("b"), member("c"))
        story.until(2000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "c dynamic"])
    })

    test("[claim 8] drops the neighbours that left the group server's list", () => {
        const story = new Story({ b: path(10), c: path(20) })
        story.list(member("b"), member("c"))
        story.until(1000)
        story.list(member("c"))
        assert.deepEqual(story.neighbours(), ["c dynamic"])
        assert.deepEqual(story.dropped, ["b"])
    })

    test("lets a neighbour go only after two runs in a row in which its path failed", () => {
        const story = new Story({ b: path(10), c: path(20) })
        story.list(member("b"), member("c"))
        story.until(1000)
        story.paths.b = path(10, { loss: 0.2, probesAnswered: 8 })
        story.until(301_000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "c dynamic"], "once is forgiven")
        story.until(605_000)
        assert.deepEqual(story.neighbours(), ["c dynamic"])
        assert.deepEqual(story.dropped, ["b"])
    })

    test("replaces a neighbour only for more than 20 %, and at most one a minute", () => {
        const story = new Story({ b: path(50), c: path(60), d: path(45) }, { degree: 2 })
        story.list(member("b"), member("c"))
        story.until(1000)
        story.list(member("b"), member("c"), member("d"))
        story.until(10_000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "d dynamic"], "45 ms for 60 ms is worth it")
        story.paths.e = path(38)
        story.list(member("b"), member("c"), member("d"), member("e"))
        story.until(20_000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "d dynamic"], "too soon after the last one")
        story.until(400_000)
        assert.deepEqual(story.neighbours(), ["d dynamic", "e dynamic"])
    })

    test("joins another component when its own is not the whole list, ignoring common paths", () => {
        const together = { riskGroups: ["one-cable"] }
        const story = new Story({ b: path(10), c: path(90) })
        story.list(member("b", together), member("c", together))
        story.until(1000)
        assert.deepEqual(story.neighbours(), ["b dynamic"], "c shares the cable with b")
        story.tell({ type: "reachable", ids: ["a", "b"] })
        story.until(10_000)
        assert.deepEqual(story.neighbours(), ["b dynamic", "c fix-up"])
    })

    test("accepts those that ask up to its largest degree, then says that it is full", () => {
        const answers: string[] = []
        const choice = new NeighbourChoice("a", { ...choiceDefaults, degreeMax: 2 })
        choice.step({ type: "members", list: ["a", "b", "c", "d"].map(id => member(id)) }, 0)
        for (const by of ["b", "c", "d", "x"])
            for (const effect of choice.step({ type: "asked", by, distances: [] }, 0))
                if (effect.type === "answer") answers.push(`${effect.to} ${effect.accepted} ${effect.reason}`.trim())
        assert.deepEqual(answers, ["b true", "c true", "d false full", "x false not in the list"])
    })

    test("gives up on a candidate that does not answer, and tries the next", () => {
        const choice = new NeighbourChoice("a", { ...choiceDefaults, settleMs: 0 })
        choice.step({ type: "members", list: ["a", "b", "c"].map(id => member(id)) }, 0)
        choice.step({ type: "tick" }, 0)
        choice.step({ type: "measured", id: "b", path: path(10) }, 500)
        const first = choice.step({ type: "measured", id: "c", path: path(20) }, 500)
        assert.ok(first.some(effect => effect.type === "ask" && effect.id === "b"))
        const second = choice.step({ type: "tick" }, 500 + choiceDefaults.askTimeoutMs)
        assert.ok(second.some(effect => effect.type === "ask" && effect.id === "c"))
    })
})
