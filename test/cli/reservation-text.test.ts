import assert from "node:assert/strict"
import { describe, test } from "node:test"
import {
    canText,
    combine,
    heldTable,
    ledgerTable,
    releaseKey,
    reservationText,
    shortText,
    treeText,
} from "../../cli/commands/reservation-text.ts"
import type { Forecast } from "../../servers/group/http/schemas.ts"

const start = 1_800_003_600

/** 5 ms between rs-a and rs-b, 7.25 ms between rs-b and rs-c; others are not known. */
function delay(from: string, to: string): number | undefined {
    const pair = [from, to].sort().join(" ")
    return pair === "rs-a rs-b" ? 5 : pair === "rs-b rs-c" ? 7.25 : undefined
}

const chain = [
    { server: "rs-b", parent: "rs-a" },
    { server: "rs-c", parent: "rs-b" },
    { server: "rs-d", parent: "rs-b" },
]

function forecast(more: Partial<Forecast> = {}): Forecast {
    const need = (server: string, links: number, dspFree: number) => ({
        ...{ server, members: 1, links, dspNeeded: 1 + links, dspFree },
    })
    return {
        fits: true,
        ...{ start, end: start + 1800, kbps: 96 },
        invited: [
            { endpoint: "a", name: "Room a", server: "rs-a" },
            { endpoint: "c", name: "Room c", server: "rs-c" },
        ],
        ...{ source: "rs-a", sourceReason: "rs-a: worst pair 12.25 ms" },
        servers: [need("rs-a", 1, 9), need("rs-c", 1, 9)],
        ...{ short: [], busy: [] },
        ...more,
    }
}

describe("a tree as text", () => {
    test("goes down from its source, with the delays that are known, members, and who only passes on", () => {
        const members = new Map([
            ["rs-a", 2],
            ["rs-c", 1],
            ["rs-d", 3],
        ])
        assert.deepEqual(treeText("rs-a", chain, members, delay), [
            "rs-a  source, 2 members",
            "  rs-b  transit, 5 ms",
            "    rs-c  1 member, 7.25 ms (12.25 ms from the source)",
            "    rs-d  3 members",
        ])
        assert.deepEqual(treeText("rs-a", [], new Map(), delay), ["rs-a  source"])
    })

    test("shows what does not hang together as well, and never goes in circles", () => {
        const odd = [
            { server: "rs-b", parent: "rs-c" },
            { server: "rs-c", parent: "rs-b" },
            { server: "rs-a", parent: "rs-b" },
        ]
        assert.deepEqual(treeText("rs-a", odd, new Map(), delay), [
            "rs-a  source",
            "rs-b  under rs-c, which has no way to rs-a",
            "rs-c  under rs-b, which has no way to rs-a",
        ])
    })
})

test("what is short is said with where, who can fix it and when it may fit", () => {
    const one = { server: "rs-c", reason: "no-bandwidth", what: "96 needed, 4 free", at: "rs-a", to: "rs-b" }
    assert.equal(
        shortText({ ...one, who: "operator", next: start }),
        "rs-c, on the link rs-a - rs-b: no-bandwidth, 96 needed, 4 free; who can fix it: operator; possible from 2027-01-15T09:00Z",
    )
    assert.equal(shortText({ server: "rs-c", reason: "no-dsp", what: "1 short", at: "rs-c" }), "rs-c: no-dsp, 1 short")
    assert.equal(shortText({ server: "", reason: "no-servers", what: "none" }), "everywhere: no-servers, none")
})

test("a reservation is shown with its epoch, tree, who is left out until when, and its history", () => {
    const atMs = start * 1000
    const text = reservationText(
        "rs-a",
        {
            ...{ state: "active", epoch: 7, kbps: 96, atMs, tree: chain, short: [] },
            unreached: [
                {
                    ...{ server: "rs-e", reason: "no-dsp", what: "1 short", who: "operator", at: "rs-e" },
                    ...{ sinceMs: atMs, retryMs: atMs + 30_000 },
                },
            ],
            history: [
                {
                    ...{ atMs: atMs - 1000, source: "rs-a", epoch: 6, state: "refused", servers: 0 },
                    short: [{ server: "rs-e", reason: "no-dsp", what: "1 short", at: "rs-e" }],
                },
                { atMs, source: "rs-a", epoch: 7, state: "active", servers: 3, short: [] },
            ],
        },
        new Map([["rs-c", 1]]),
        delay,
    )
    assert.match(text, /^reservation {2}active, epoch 7, 96 kbit\/s each way, since 2027-01-15T09:00:00.000Z\n/)
    assert.match(text, /\n {4}rs-c {2}1 member, 7.25 ms/)
    assert.match(text, /left out {5}rs-e: no-dsp, 1 short; who can fix it: operator; tried again by 2027.*09:00:30/)
    assert.match(text, /rs-a +6 +refused +no-dsp rs-e\n.*rs-a +7 +active +3$/)
    const silent = reservationText(
        "rs-a",
        { state: "none", tree: [], short: [], unreached: [], history: [] },
        new Map(),
        delay,
    )
    assert.equal(silent, "reservation  none: rs-a has told nothing yet")
})

test("what is held is listed by server, and stands against what there is", () => {
    const servers = [
        {
            server: "rs-b",
            reservations: [
                {
                    ...{ sid: "s-1", epoch: 7, source: "rs-a", role: "transit" as const, state: "active" as const },
                    ...{ upstream: "rs-a", children: ["rs-c", "rs-d"], kbps: 96, usageCount: 0 },
                },
            ],
            ledger: { links: [{ peer: "rs-a", capacityKbps: 960, heldKbps: 96 }], dspUnits: 100, dspHeld: 0 },
        },
    ]
    assert.match(heldTable(servers, true), /\nrs-b +s-1 +transit +active +7 +rs-a +rs-a +rs-c,rs-d +96 +0$/)
    assert.doesNotMatch(heldTable(servers, false), /s-1/)
    assert.match(ledgerTable(servers), /rs-b +DSP units +0 +100 +0 %\nrs-b +kbit\/s to rs-a +96 +960 +10 %/)
})

describe("whether a session fits, by the group server and its source together", () => {
    const none = new Map<string, number>()

    test("is yes with the tree when both say so; the tree's own links count", () => {
        const tree = [
            { server: "rs-b", parent: "rs-a" },
            { server: "rs-c", parent: "rs-b" },
        ]
        const result = combine(forecast(), { fits: true, tree, short: [] }, none)
        assert.equal(result.fits, true)
        const text = canText(result, delay)
        assert.match(text, /^fits: 2 rooms, 96 kbit\/s, 2027-01-15T09:00Z for 30 min\n/)
        assert.match(text, /\nrs-a {2}source, 1 member\n {2}rs-b {2}transit, 5 ms\n {4}rs-c/)
    })

    test("is no when the source's tree takes more units than the shortest ways would", () => {
        const star = [
            { server: "rs-c", parent: "rs-a" },
            { server: "rs-x", parent: "rs-a" },
        ]
        const poor = forecast({
            servers: [{ server: "rs-a", members: 1, links: 1, dspNeeded: 2, dspFree: 2 }],
        })
        const result = combine(poor, { fits: true, tree: star, short: [] }, none)
        assert.equal(result.fits, false)
        assert.match(result.short[0].what, /^1 DSP units short: 3 needed, 2 free/)
    })

    test("is no with what is short, where, and the latest of the times that are known for all of it", () => {
        const short = [
            { server: "rs-c", reason: "no-bandwidth", what: "96 needed, 0 free", at: "rs-a", to: "rs-b" },
            { server: "rs-d", reason: "no-dsp", what: "1 short", at: "rs-d" },
        ]
        const next = new Map([
            [releaseKey(short[0]), start + 600],
            [releaseKey(short[1]), start + 1200],
        ])
        const result = combine(forecast(), { fits: false, tree: [], short }, next)
        assert.deepEqual([result.fits, result.next], [false, start + 1200])
        const text = canText(result, delay)
        assert.match(text, /^does not fit: /)
        assert.match(text, /short {4}rs-c, on the link rs-a - rs-b: no-bandwidth.*possible from 2027-01-15T09:10Z/)
        assert.match(text, /\nnext {5}2027-01-15T09:20Z/)
        // Of one of them nothing is known: then there is no next time at all.
        next.delete(releaseKey(short[1]))
        const vague = combine(forecast(), { fits: false, tree: [], short }, next)
        assert.equal(vague.next, undefined)
        assert.match(canText(vague, delay), /no time is known/)
    })

    test("does not count what is given back before a later session starts", () => {
        const short = [{ server: "rs-c", reason: "no-bandwidth", what: "0 free", at: "rs-a", to: "rs-b" }]
        const can = { fits: false, tree: [], short }
        assert.equal(combine(forecast(), can, new Map([[releaseKey(short[0]), start - 60]])).fits, true)
        assert.equal(combine(forecast(), can, new Map([[releaseKey(short[0]), start + 60]])).fits, false)
    })

    test("is no as well when the source says no without a word, or somebody is busy", () => {
        assert.equal(combine(forecast(), { fits: false, tree: [], short: [] }, none).short[0].reason, "unavailable")
        const busy = [{ endpoint: "a", name: "Room a", from: start, until: start + 900 }]
        const result = combine(forecast({ busy, fits: false, next: start + 900 }), undefined, none)
        assert.deepEqual([result.fits, result.next], [false, start + 900])
        assert.match(canText(result, delay), /busy {5}a \(Room a\) from .*09:00Z to .*09:15Z\nnext {5}.*09:15Z/)
    })
})
