import assert from "node:assert/strict"
import { describe, test } from "node:test"
import {
    type Candidate,
    inOrder,
    describe as inWords,
    type NeighbourTest,
    neighbourDefaults,
    type PathMeasurement,
    policyVerdict,
    type SharedPath,
    verdictOn,
} from "../../servers/routing/neighbours/rule.ts"
import {
    prefixShare,
    riskGroupShare,
    sharedPath,
    traceShare,
    triangleShare,
} from "../../servers/routing/neighbours/shared-path.ts"

const good: PathMeasurement = {
    probesSent: 10,
    probesAnswered: 10,
    rttMs: 40,
    jitterP95Ms: 3,
    loss: 0,
    hops: 4,
    bandwidthKbps: 50_000,
    mutual: true,
}
const candidate = (id: string, path: Partial<PathMeasurement> = {}): Candidate => ({
    id,
    tags: [],
    path: { ...good, ...path },
})
const nothingShared: SharedPath = () => 0

function refusedBy(
    c: Candidate,
    neighbours: string[] = [],
    share: SharedPath = nothingShared,
): NeighbourTest | "accepted" {
    const verdict = verdictOn(c, neighbours, share, neighbourDefaults)
    return verdict.accepted ? "accepted" : verdict.test
}

describe("the neighbour rule [claim 11]", () => {
    test("[claim 11] accepts a candidate whose path passes every test", () => {
        assert.equal(refusedBy(candidate("b")), "accepted")
    })

    test("[claim 11] rejects a path that misses the quality of service requirement, by loss or by jitter alone", () => {
        assert.equal(refusedBy(candidate("b", { loss: 0.03 })), "quality")
        assert.equal(refusedBy(candidate("b", { loss: 0.02 })), "accepted")
        assert.equal(refusedBy(candidate("b", { jitterP95Ms: 31 })), "quality")
        assert.equal(refusedBy(candidate("b", { jitterP95Ms: 30 })), "accepted")
    })

    test("[claim 11] sorts candidates by hop count first, then by round trip", () => {
        const order = inOrder([
            candidate("far-but-few-hops", { hops: 2, rttMs: 90 }),
            candidate("near-many-hops", { hops: 9, rttMs: 5 }),
            candidate("b", { hops: 4, rttMs: 20 }),
            candidate("a", { hops: 4, rttMs: 20 }),
            candidate("quick", { hops: 4, rttMs: 10 }),
        ])
        assert.deepEqual(
            order.map(c => c.id),
            ["far-but-few-hops", "quick", "a", "b", "near-many-hops"],
        )
    })

    test("[claim 11] determines whether there is a path: 7 of 10 probes answered, and both see each other", () => {
        assert.equal(refusedBy(candidate("b", { probesAnswered: 6 })), "path")
        assert.equal(refusedBy(candidate("b", { probesAnswered: 7 })), "accepted")
        assert.equal(refusedBy(candidate("b", { mutual: false })), "path")
        assert.equal(refusedBy({ id: "b", tags: [] }), "path")
    })

    test("[claim 11] determines whether the delay is less than the maximum: one way, and not equal", () => {
        assert.equal(refusedBy(candidate("b", { rttMs: 150 })), "delay")
        assert.equal(refusedBy(candidate("b", { rttMs: 149.9 })), "accepted")
    })

    test("[claim 11] determines whether the bandwidth is greater than the minimum, and not equal", () => {
        assert.equal(refusedBy(candidate("b", { bandwidthKbps: 1000 })), "bandwidth")
        assert.equal(refusedBy(candidate("b", { bandwidthKbps: 1001 })), "accepted")
    })

    test("[claim 11] determines whether the path is common with the path to a neighbour, and names that neighbour", () => {
        const share = (_: string, neighbour: string) => (neighbour === "y" ? 0.6 : 0.5)
        assert.equal(refusedBy(candidate("b"), ["x"], share), "accepted")
        const verdict = verdictOn(candidate("b"), ["x", "y"], share, neighbourDefaults)
        assert.ok(!verdict.accepted && verdict.test === "common-path" && verdict.because === "y")
    })

    test("[claim 9] the administration policy keeps tagged servers apart, in both directions", () => {
        const policy = { deny: [["tenant-a", "tenant-b"] as const] }
        const b = { ...candidate("b"), tags: ["tenant-b"] }
        assert.equal(policyVerdict(["tenant-a"], b, policy).accepted, false)
        assert.equal(policyVerdict(["tenant-b"], { ...b, tags: ["tenant-a"] }, policy).accepted, false)
        assert.equal(policyVerdict(["tenant-c"], b, policy).accepted, true)
    })

    test("every refusal reads as a sentence with its numbers", () => {
        const words = (path: Partial<PathMeasurement>) =>
            inWords(verdictOn(candidate("b", path), [], nothingShared, neighbourDefaults))
        assert.equal(words({ loss: 0.05 }), "the path loses 5 %, allowed are 2 %")
        assert.equal(words({ rttMs: 300 }), "the delay is 150 ms one way, it must be below 75 ms")
        assert.equal(
            words({ probesAnswered: 2 }),
            "there is no path: 20 % of the probes were answered, needed are 70 %",
        )
        assert.equal(words({ bandwidthKbps: 64 }), "bandwidth is 64 kbit/s, it must be above 1000 kbit/s")
        assert.equal(words({}), "passes every test")
    })
})

describe("a common path [claims 7, 11]", () => {
    test("shows in risk groups as the share of what both have of what either has", () => {
        assert.equal(riskGroupShare(["fra", "carrier-1"], ["fra", "carrier-2"]), 1 / 3)
        assert.equal(riskGroupShare([], ["fra"]), 0)
    })

    test("shows in traces, without the two routers at each end and without private addresses", () => {
        const a = ["9.0.0.1", "9.0.0.2", "9.1.0.1", "9.1.0.2", "10.0.0.1", "9.9.0.1", "9.9.0.2"]
        const b = ["9.0.0.1", "9.0.0.2", "9.1.0.1", "9.2.0.2", "10.0.0.1", "9.8.0.1", "9.8.0.2"]
        assert.equal(traceShare(a, b, 2), 0.5)
        assert.equal(traceShare(a.slice(0, 4), b, 2), 0)
    })

    test("shows in addresses of one site's prefix, never in private ones", () => {
        assert.equal(prefixShare("9.1.2.3", "9.1.2.200", 24), 1)
        assert.equal(prefixShare("9.1.2.3", "9.1.3.3", 24), 0)
        assert.equal(prefixShare("127.0.1.1", "127.0.1.2", 24), 0)
    })

    test("shows in delays when the neighbour lies on the way", () => {
        assert.equal(triangleShare(10, 22, 30, 1.1), 1)
        assert.equal(triangleShare(10, 24, 30, 1.1), 0)
        assert.equal(triangleShare(10, undefined, 30, 1.1), 0)
    })

    test("is as large as the largest evidence says", () => {
        const to = { ip: "9.1.2.3", riskGroups: ["a", "b"], rttMs: 30 }
        const neighbour = { ip: "9.7.2.3", riskGroups: ["b", "c"], rttMs: 10 }
        assert.equal(sharedPath(to, neighbour, undefined), 1 / 3)
        assert.equal(sharedPath(to, neighbour, 20), 1)
    })
})
