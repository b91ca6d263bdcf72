import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { neighbourLimitDefaults } from "../../protocol/servers.ts"
import type { Effect, Outcome } from "../../servers/routing/core/model.ts"
import { member, of, Play, requests, told } from "./play.ts"

describe("recording", () => {
    const recorded = (effects: Effect[]) => of(effects, "record").map(({ format }) => format)

    test("is done by the source alone, from when it is wanted until it is not, and told to everybody here", () => {
        const play = new Play()
        play.register()
        play.session()
        play.attach("ep-a")
        play.join("ep-a")
        const effects = play.session({ n: 2, rec: 1, recAs: "ogg" })
        assert.deepEqual(recorded(effects), ["ogg"])
        assert.equal(told([...effects, ...play.pass(1000)], "ep-a").at(-1)?.[1].rec, 1)
        assert.deepEqual(recorded(play.session({ n: 3, rec: 1, recAs: "ogg" })), [], "it goes on")
        assert.deepEqual(recorded(play.session({ n: 4, rec: 1 })), [undefined, "wav"], "another form is another file")
        assert.deepEqual(recorded(play.session({ n: 5, rec: 1, source: "rs-b" })), [undefined], "the source has moved")
        play.session({ n: 6, rec: 1 })
        assert.deepEqual(recorded(play.group({ verb: "end", message: { sid: "s1", reason: "ended" } })), [undefined])
    })
})

describe("registering with the group server", () => {
    test("says hello after every connect, repeats it until it is answered, and again after the group server's new birth", () => {
        const play = new Play()
        const [hello] = requests(play.feed({ type: "connected" }), "hello")
        assert.deepEqual(hello, {
            ...{ id: hello.id, v: 1, boot: 3, ip: "127.0.1.11", linkPort: 7400, mediaPort: 7500 },
            ...{ fingerprint: "f".repeat(64), dspUnits: 8 },
        })
        assert.deepEqual(requests(play.feed({ type: "groupState", state: { boot: 5, on: 1 } }), "hello"), [])
        assert.deepEqual(requests(play.pass(3000), "hello"), [hello], "repeated under the same id")
        play.group({ verb: "done", message: { re: hello.id, nowMs: 1_800_000_000_000 } })
        assert.deepEqual(requests(play.pass(10_000), "hello"), [])

        assert.deepEqual(requests(play.feed({ type: "groupState", state: { boot: 5, on: 0 } }), "hello"), [])
        assert.equal(play.state.registration.registered, false)
        assert.deepEqual(requests(play.pass(10_000), "hello"), [], "nobody would hear it")
        assert.equal(requests(play.feed({ type: "groupState", state: { boot: 6, on: 1 } }), "hello").length, 1)
        // The Will of its former life comes late.
        play.feed({ type: "groupState", state: { boot: 5, on: 0 } })
        assert.equal(play.state.registration.group?.on, 1)
    })

    test("tells a group server that was restarted who is in which session", () => {
        const play = new Play()
        play.register()
        play.session()
        play.attach("ep-a")
        const [joined] = requests(play.join("ep-a"), "joined")
        play.group({ verb: "done", message: { re: joined.id } })
        play.feed({ type: "groupState", state: { boot: 6, on: 1 } })
        play.feed({ type: "groupState", state: { boot: 7, on: 1 } })
        const again = requests(play.register(), "joined")
        assert.deepEqual(
            again.map(({ sid, ep }) => [sid, ep]),
            [["s1", "ep-a"]],
        )
    })

    test("takes no answer to a request of its former life for its own", () => {
        const ids = [3, 4].map(boot => requests(new Play("rs-a", 8, boot).feed({ type: "connected" }), "hello")[0].id)
        assert.notEqual(ids[0], ids[1])
    })

    test("lets go whom the group server has in no session any more", () => {
        for (const reason of ["ended", "unknown-session", "not-a-member"] as const) {
            const play = new Play()
            play.register()
            play.session()
            play.attach("ep-a")
            const [joined] = requests(play.join("ep-a"), "joined")
            const effects = play.group({ verb: "refused", message: { re: joined.id, reason, who: "nobody" } })
            const why = reason === "not-a-member" ? reason : "ended"
            assert.deepEqual(told(effects, "ep-a"), [["bye", { sid: "s1", reason: why }]])
            assert.equal(of(effects, "removeLeg").length, 1)
            assert.equal(play.state.sessions.has("s1"), reason === "not-a-member")
        }
    })

    test("tries again later when it is refused", () => {
        const play = new Play()
        const [hello] = requests(play.feed({ type: "connected" }), "hello")
        play.group({ verb: "refused", message: { re: hello.id, reason: "unknown-server", who: "operator" } })
        assert.equal(requests(play.pass(9900), "hello").length, 0)
        assert.equal(requests(play.pass(200), "hello").length, 1)
    })

    test("[claim 7] hands on the newest list of all servers, whole, with its static neighbours", () => {
        const play = new Play()
        const peer = (rs: string, isStatic: 0 | 1) => {
            const address = { ip: "127.0.1.12", linkPort: 7400, fingerprint: "e".repeat(64) }
            return { rs, ...address, static: isStatic }
        }
        const list = [peer("rs-b", 1), peer("rs-c", 0)]
        const effects = play.group({ verb: "peers", message: { n: 4, list } })
        assert.deepEqual(
            of(effects, "servers").map(effect => effect.peers.map(each => [each.rs, each.static])),
            [
                [
                    ["rs-b", 1],
                    ["rs-c", 0],
                ],
            ],
        )
        assert.deepEqual(play.group({ verb: "peers", message: { n: 3, list: [] } }), [], "old news")
        assert.equal(play.state.peers.list.length, 2)

        const parts = [peer("rs-d", 0), peer("rs-e", 0), peer("rs-f", 1)].map((each, part) => ({
            verb: "peers" as const,
            message: { n: 5, list: [each], part, parts: 3 },
        }))
        assert.deepEqual(play.group(parts[2]), [], "a part waits for the others")
        assert.deepEqual(play.group(parts[0]), [])
        assert.deepEqual(
            play.group({ verb: "peers", message: { n: 4, list: [], part: 1, parts: 3 } }),
            [],
            "of old news",
        )
        assert.deepEqual(
            of(play.group(parts[1]), "servers").map(effect => effect.peers.map(each => each.rs)),
            [["rs-d", "rs-e", "rs-f"]],
        )
    })

    test("[claim 9] hands on the newest policy", () => {
        const play = new Play()
        const policy = (n: number) => ({
            verb: "policy" as const,
            message: { n, deny: [["a", "b"]], limits: neighbourLimitDefaults, own: { tags: ["a"] } },
        })
        assert.deepEqual(
            of(play.group(policy(2)), "policy").map(effect => effect.policy.deny),
            [[["a", "b"]]],
        )
        assert.deepEqual(play.group(policy(1)), [], "old news")
    })
})

describe("a join", () => {
    test("[claim 1] of a member is done with all that its media engine needs, and is reported", () => {
        const play = new Play()
        play.register()
        play.session({ members: [member("ep-a", "rs-a")] })
        assert.deepEqual(told(play.attach("ep-a"), "ep-a"), [["done", { re: 1, load: 0 }]])
        const effects = play.join("ep-a")
        const [leg] = of(effects, "addLeg")
        assert.deepEqual(told(effects, "ep-a"), [
            [
                "done",
                {
                    ...{ re: 2, sid: "s1", ip: "127.0.1.11", port: 7500, ssrc: leg.leg.ssrc },
                    ...{ pt: 0, frameMs: 20, people: 1, key: leg.key },
                },
            ],
        ])
        assert.ok(leg.leg.ssrc > 0)
        assert.equal(requests(effects, "joined").length, 1)
    })

    test("that comes twice is answered as before, also after the endpoint has left", () => {
        const play = new Play()
        play.session()
        play.attach("ep-a")
        const first = told(play.join("ep-a"), "ep-a")
        play.ask("ep-a", { verb: "leave", message: { id: 3, sid: "s1" } })
        const again = play.join("ep-a")
        assert.deepEqual(told(again, "ep-a"), first)
        assert.deepEqual(of(again, "addLeg"), [])
    })

    test("of an unknown session waits for the group server, once, and goes on with its answer", () => {
        const play = new Play()
        play.register()
        play.attach("ep-a")
        const asked = play.join("ep-a")
        assert.deepEqual(told(asked, "ep-a"), [])
        const [want] = requests(asked, "want")
        assert.deepEqual([want.sid, want.ep], ["s1", "ep-a"])
        assert.deepEqual(play.join("ep-a"), [], "the same request while it waits")
        play.pass(500)
        play.group({ verb: "done", message: { re: want.id } })
        assert.deepEqual(
            told(play.session(), "ep-a").map(([verb]) => verb),
            ["done"],
        )
        assert.deepEqual(told(play.pass(5000), "ep-a"), [])
    })

    test("of an unknown session is refused with the group server's reason, or after 3 s without one", () => {
        const play = new Play()
        play.register()
        play.attach("ep-a")
        const [want] = requests(play.join("ep-a"), "want")
        const no = { re: want.id, reason: "not-open", what: "opens at ten", who: "you", next: 1_800_000_300 } as const
        assert.deepEqual(told(play.group({ verb: "refused", message: no }), "ep-a"), [["refused", { ...no, re: 2 }]])

        play.join("ep-a", "s2", 3)
        assert.deepEqual(told(play.pass(2900), "ep-a"), [])
        const [[verb, message]] = told(play.pass(100), "ep-a")
        assert.deepEqual([verb, message.re, message.reason], ["refused", 3, "unavailable"])
    })

    test("of one who is not a member is refused after the group server was asked", () => {
        const play = new Play()
        play.register()
        play.session()
        play.attach("ep-x")
        assert.equal(requests(play.join("ep-x"), "want").length, 1)
        const [[verb, message]] = told(play.pass(3000), "ep-x")
        assert.deepEqual([verb, message.reason, message.who], ["refused", "not-a-member", "organiser"])
    })

    test("by one who was invited a moment ago is done, though the news comes after the press", () => {
        const play = new Play()
        play.register()
        play.session()
        play.attach("ep-x")
        play.join("ep-x")
        const news = play.session({ n: 2, members: [member("ep-a", "rs-a"), member("ep-x", "rs-a")] })
        assert.equal(told(news, "ep-x")[0][0], "done")
    })

    test("[claim 14] is refused when media processing units are short, naming how many", () => {
        const play = new Play("rs-a", 2)
        play.session({ members: ["ep-a", "ep-b", "ep-c"].map(ep => member(ep, "rs-a")) })
        for (const ep of ["ep-a", "ep-b", "ep-c"]) play.attach(ep)
        for (const ep of ["ep-a", "ep-b"]) assert.equal(told(play.join(ep), ep)[0][0], "done")
        const [[verb, message]] = told(play.join("ep-c"), "ep-c")
        assert.deepEqual(
            [verb, message],
            ["refused", { re: 2, reason: "no-dsp", what: "1 DSP units short: 1 needed, 0 free", who: "operator" }],
        )
        play.ask("ep-a", { verb: "leave", message: { id: 3, sid: "s1" } })
        assert.equal(told(play.join("ep-c", "s1", 3), "ep-c")[0][0], "done")
    })

    test("waits for the session's tree, and is done once it is reserved", () => {
        const play = new Play()
        play.register()
        play.session({ source: "rs-b" })
        play.attach("ep-a")
        assert.deepEqual(told(play.join("ep-a"), "ep-a"), [])
        assert.deepEqual(play.join("ep-a"), [], "the same request while it waits")
        assert.equal(told(play.tree([["rs-b", 1, 2]]), "ep-a")[0][0], "done")
        assert.deepEqual(told(play.pass(5000), "ep-a"), [])
        assert.equal(requests(play.effects, "want").length, 0, "the group server has nothing to add")
    })

    test("is refused after 3 s without a tree, with what the reservation has found short where that is known", () => {
        const play = new Play()
        play.session({ source: "rs-b" })
        play.attach("ep-a")
        play.join("ep-a")
        const [[verb, message]] = told(play.pass(3000), "ep-a")
        assert.deepEqual([verb, message.reason], ["refused", "unavailable"])

        const source = new Play()
        source.grants = false
        source.session()
        source.attach("ep-a")
        source.join("ep-a")
        const short = [
            { rs: "rs-b", reason: "no-bandwidth", what: "96 kbit/s from rs-a to rs-b", at: "rs-a", to: "rs-b" },
        ] as const
        source.feed({ type: "reserved", outcome: { type: "refused", sid: "s1", ep: 4, short: [...short] } })
        const [[, refusal]] = told(source.pass(3000), "ep-a")
        assert.deepEqual([refusal.reason, refusal.what], ["no-bandwidth", "96 kbit/s from rs-a to rs-b"])
    })

    test("at a server that could not be reached is refused with the group server's words, and who is there is sent away", () => {
        const play = new Play()
        play.session({ source: "rs-b" })
        play.tree([["rs-b", 1, 2]])
        play.attach("ep-a")
        play.join("ep-a")
        const why = {
            reason: "no-bandwidth",
            what: "96 kbit/s from rs-b to rs-a",
            who: "operator",
            next: 1_800_000_900,
        } as const
        const news = play.session({ n: 2, source: "rs-b", unreached: [{ rs: "rs-a", ...why }] })
        assert.deepEqual(told(news, "ep-a"), [["bye", { sid: "s1", reason: "no-bandwidth" }]])
        assert.deepEqual(told(play.join("ep-a", "s1", 3), "ep-a"), [["refused", { re: 3, ...why }]])
    })

    test("[claim 14] at the source is refused at once when the reservation has found its units short", () => {
        const play = new Play("rs-a", 1)
        play.grants = false
        play.session()
        play.attach("ep-a")
        play.join("ep-a")
        const what = "2 DSP units needed at rs-a, 1 free"
        const short = [{ rs: "rs-a", reason: "no-dsp", what, at: "rs-a" }] as const
        const refused = play.feed({
            type: "reserved",
            outcome: { type: "refused", sid: "s1", ep: 1, short: [...short] },
        })
        assert.deepEqual(told(refused, "ep-a"), [["refused", { re: 2, reason: "no-dsp", what, who: "operator" }]])
    })

    test("without an attachment, or with an address that is none, is refused", () => {
        const play = new Play()
        play.session()
        assert.equal(told(play.join("ep-a"), "ep-a")[0][1].reason, "not-attached")
        play.attach("ep-a")
        for (const [id, ip] of ["0.0.0.1", "224.0.0.1", "1.2.3.256", "255.255.255.255"].entries()) {
            const message = { id: 10 + id, sid: "s1", ip, port: 6000 }
            assert.equal(told(play.ask("ep-a", { verb: "join", message }), "ep-a")[0][1].reason, "malformed")
        }
    })

    test("of another session leaves the first", () => {
        const play = new Play("rs-a", 1)
        for (const sid of ["s1", "s2"]) play.session({ sid, members: [member("ep-a", "rs-a")] })
        play.register()
        play.attach("ep-a")
        play.join("ep-a", "s1", 2)
        const effects = play.join("ep-a", "s2", 3)
        assert.equal(told(effects, "ep-a")[0][0], "done")
        assert.equal(of(effects, "removeLeg").length, 1)
        assert.equal(requests(effects, "left")[0].sid, "s1")
    })
})

describe("an endpoint", () => {
    function inSession() {
        const play = new Play()
        play.register()
        play.session({ members: [member("ep-a", "rs-a"), member("ep-b", "rs-a")] })
        for (const ep of ["ep-a", "ep-b"]) {
            play.attach(ep)
            play.join(ep)
        }
        return play
    }
    const state = (boot: number, on: number, rs?: string) => ({ boot, on, ...(rs && { rs }) })

    test("that leaves is reported, and the others hear how many are left", () => {
        const play = inSession()
        const effects = play.ask("ep-a", { verb: "leave", message: { id: 3, sid: "s1" } })
        assert.deepEqual(told(effects, "ep-a"), [["done", { re: 3 }]])
        assert.deepEqual(told(effects, "ep-b"), [["roster", { sid: "s1", people: 1 }]])
        assert.equal(of(effects, "removeLeg").length, 1)
        assert.equal(requests(effects, "left").length, 1)
        const again = play.ask("ep-a", { verb: "leave", message: { id: 4, sid: "s1" } })
        assert.deepEqual(again, [{ type: "toEndpoint", ep: "ep-a", verb: "done", message: { re: 4 } }])
    })

    test("whose state says off is released, and told when it comes back in the same life", () => {
        const play = inSession()
        const gone = play.feed({ type: "endpointState", ep: "ep-a", state: state(1, 0) })
        assert.equal(of(gone, "removeLeg").length, 1)
        assert.deepEqual(told(gone, "ep-b"), [["roster", { sid: "s1", people: 1 }]])
        assert.deepEqual(told(gone, "ep-a"), [])
        const back = play.feed({ type: "endpointState", ep: "ep-a", state: state(1, 1, "rs-a") })
        assert.deepEqual(told(back, "ep-a"), [["bye", { reason: "not-attached" }]])
        assert.equal(told(play.join("ep-a", "s1", 9), "ep-a")[0][1].reason, "not-attached")
        play.attach("ep-a")
        assert.equal(told(play.join("ep-a", "s1", 10), "ep-a")[0][0], "done")
    })

    test("is kept when the Will of an earlier life or its state from before the attach comes late", () => {
        const play = new Play()
        play.session()
        play.attach("ep-a", 5)
        play.join("ep-a")
        for (const late of [state(4, 0), state(4, 1, "rs-b"), state(5, 1, "rs-b"), state(5, 1)])
            assert.deepEqual(of(play.feed({ type: "endpointState", ep: "ep-a", state: late }), "removeLeg"), [])
        play.feed({ type: "endpointState", ep: "ep-a", state: state(5, 1, "rs-a") })
        const moved = play.feed({ type: "endpointState", ep: "ep-a", state: state(5, 1, "rs-b") })
        assert.equal(of(moved, "removeLeg").length, 1)
        assert.deepEqual(of(moved, "unfollow"), [{ type: "unfollow", ep: "ep-a" }])
    })

    test("that was cut from the broker keeps its leg while it registers again", () => {
        const play = inSession()
        play.feed({ type: "endpointState", ep: "ep-a", state: { ...state(1, 1, "rs-a"), sid: "s1" } })
        const back = play.feed({ type: "endpointState", ep: "ep-a", state: { ...state(1, 1), sid: "s1" } })
        assert.deepEqual(back, [])
        assert.deepEqual(told(play.ask("ep-a", { verb: "attach", message: { id: 9, boot: 1 } }), "ep-a")[0][0], "done")
        const [[verb, place]] = told(play.join("ep-a", "s1", 10), "ep-a")
        assert.deepEqual([verb, place.ssrc], ["done", play.state.sessions.get("s1")!.legs.get("ep-a")!.ssrc])
        assert.deepEqual(of(play.effects, "removeLeg"), [])
    })

    test("that attached and did not wait for the answer is forgotten once its state names another server", () => {
        const play = new Play()
        play.attach("ep-a")
        play.feed({ type: "endpointState", ep: "ep-a", state: state(1, 1, "rs-b") })
        play.pass(29_000)
        assert.ok(play.state.attachments.has("ep-a"), "the state may be from before the attach")
        assert.deepEqual(of(play.pass(2000), "unfollow"), [{ type: "unfollow", ep: "ep-a" }])
        assert.equal(play.state.attachments.size, 0)
    })

    test("that has started anew has left its session, and its request ids count anew", () => {
        const play = inSession()
        const effects = play.ask("ep-a", { verb: "attach", message: { id: 1, boot: 2 } })
        assert.equal(of(effects, "removeLeg").length, 1)
        const joined = play.join("ep-a")
        assert.equal(of(joined, "addLeg").length, 1, "not the answer of the former life")
    })

    test("that believes to be attached to a server which has restarted is told, and other states end the subscription", () => {
        const play = new Play()
        const believes = play.feed({ type: "endpointState", ep: "ep-a", state: state(1, 1, "rs-a") })
        assert.deepEqual(told(believes, "ep-a"), [["bye", { reason: "not-attached" }]])
        const elsewhere = play.feed({ type: "endpointState", ep: "ep-b", state: state(1, 1, "rs-b") })
        assert.deepEqual(elsewhere, [{ type: "unfollow", ep: "ep-b" }])
    })

    test("hears bye when the session ends, is cancelled, or it is no member any more", () => {
        const play = inSession()
        const effects = play.session({ n: 2, members: [member("ep-b", "rs-a")] })
        assert.deepEqual(told(effects, "ep-a"), [["bye", { sid: "s1", reason: "not-a-member" }]])
        const over = play.group({ verb: "end", message: { sid: "s1", reason: "ended" } })
        assert.deepEqual(told(over, "ep-b"), [["bye", { sid: "s1", reason: "ended" }]])
        assert.equal(of(over, "removeLeg").length, 1)
        assert.equal(told(play.join("ep-b", "s1", 9), "ep-b")[0][1].reason, "ended")
        play.session({ n: 2 })
        assert.equal(play.state.sessions.size, 0, "old news does not revive it")
    })

    test("hears bye from a server that is stopped, which takes nobody new", () => {
        const play = inSession()
        const effects = play.feed({ type: "drain" })
        assert.deepEqual(told(effects, "ep-a"), [["bye", { reason: "draining" }]])
        assert.equal(of(effects, "removeLeg").length, 2)
        assert.equal(requests(effects, "left").length, 2)
        assert.equal(told(play.attach("ep-c"), "ep-c")[0][1].reason, "draining")
    })

    test("is let go when the media plane cannot take its leg, or hears nothing of it", () => {
        for (const event of [{ type: "legRefused", what: "full" }, { type: "legSilent" }] as const) {
            const play = inSession()
            const effects = play.feed({ ...event, sid: "s1", ep: "ep-a" })
            assert.deepEqual(told(effects, "ep-a"), [["bye", { sid: "s1", reason: "unavailable" }]])
            assert.equal(requests(effects, "left").length, 1)
            assert.equal(told(play.join("ep-a", "s1", 9), "ep-a")[0][0], "done", "and may join again")
        }
    })

    test("that waits to join is refused as soon as the session is over", () => {
        const play = new Play()
        play.register()
        play.attach("ep-a")
        play.join("ep-a")
        const effects = play.group({ verb: "end", message: { sid: "s1", reason: "ended" } })
        assert.equal(told(effects, "ep-a")[0][1].reason, "ended")
        assert.deepEqual(told(play.pass(5000), "ep-a"), [])
    })
})

describe("a session's tree", () => {
    test("carries the session as it is reserved, changes with it and goes with it", () => {
        const play = new Play()
        play.session()
        const link = { sid: "s1", peer: "rs-b" }
        assert.deepEqual(of(play.tree([["rs-b", 1, 77]]), "addLink"), [
            { type: "addLink", ...link, labelIn: 1, labelOut: 77 },
        ])
        const same = play.tree([["rs-b", 1, 77]])
        assert.deepEqual([...of(same, "addLink"), ...of(same, "removeLink")], [], "the next epoch over the same link")
        assert.equal(of(play.tree([["rs-b", 1, 78]]), "addLink").length, 1, "another label")
        const moved = play.tree([["rs-c", 2, 5]])
        assert.deepEqual(
            moved.filter(({ type }) => type === "addLink" || type === "removeLink").map(({ type }) => type),
            ["addLink", "removeLink"],
            "the new link before the old one goes",
        )
        assert.deepEqual(of(play.tree([]), "removeLink"), [{ type: "removeLink", sid: "s1", peer: "rs-c" }])
    })

    test("[claim 4] in transit passes through unread and is mixed as soon as somebody here is in the session", () => {
        const play = new Play()
        const both: [string, number, number][] = [
            ["rs-b", 1, 11],
            ["rs-c", 2, 22],
        ]
        const through = play.tree(both, "s1", true)
        assert.deepEqual(of(through, "addLink"), [])
        assert.deepEqual(
            of(through, "transit")[0].branches.map(({ peer }) => peer),
            ["rs-b", "rs-c"],
        )
        assert.equal(play.state.ledger.dspHeld(), 0)
        assert.deepEqual(
            of(play.tree(both.slice(0, 1), "s1", true), "transit")[0].branches,
            [],
            "from one link to nowhere",
        )
        const mixed = play.tree(both)
        assert.deepEqual(
            of(mixed, "addLink").map(({ peer }) => peer),
            ["rs-b", "rs-c"],
        )
        assert.deepEqual(of(mixed, "transit")[0].branches, [])
    })

    test("in transit hands on how many people there are on each side", () => {
        const play = new Play()
        play.tree(
            [
                ["rs-b", 1, 11],
                ["rs-c", 2, 22],
            ],
            "s1",
            true,
        )
        assert.deepEqual(of(play.count("rs-b", 3), "control"), [
            { type: "control", peer: "rs-c", message: { k: "count", sid: "s1", people: 3 } },
        ])
    })

    test("is asked for by the source alone, to every server with members that can be had", () => {
        const wishes = (effects: Effect[]) => of(effects, "reserve").map(({ event }) => event)
        const members = [
            member("ep-a", "rs-a"),
            member("ep-b", "rs-b"),
            member("ep-c", "rs-c"),
            member("ep-d"),
            member("ep-e", "rs-b"),
        ]
        const unreached = [{ rs: "rs-c", reason: "no-dsp", what: "full", who: "operator" }] as const
        const play = new Play()
        const [wish] = wishes(play.session({ members, unreached: [...unreached] }))
        const destinations = [{ rs: "rs-b", dspUnits: 1 }]
        assert.deepEqual(wish, {
            type: "wish",
            wish: { sid: "s1", version: 1, destinations, bandwidthKbps: 102, dspUnits: 1 },
        })
        assert.deepEqual(wishes(play.session({ n: 2, members, source: "rs-b" })), [{ type: "drop", sid: "s1" }])
        assert.deepEqual(wishes(play.session({ n: 3, members, state: "scheduled" })), [{ type: "drop", sid: "s1" }])
        play.session({ n: 4, members })
        assert.deepEqual(wishes(play.group({ verb: "end", message: { sid: "s1", reason: "ended" } })), [
            { type: "drop", sid: "s1" },
        ])
    })

    test("is told to the group server as it stands, and again after its restart", () => {
        const play = new Play()
        play.register()
        play.grants = false
        play.session()
        const report = (effects: Effect[]) =>
            requests(effects, "reservation").map(({ state, ep, tree, short }) => ({ state, ep, tree, short }))
        const trying = { type: "trying", sid: "s1", ep: 3, kind: "setup" } as const
        assert.deepEqual(report(play.feed({ type: "reserved", outcome: trying })), [
            { state: "reserving", ep: 3, tree: [], short: [] },
        ])
        const tree = [{ rs: "rs-b", parent: "rs-a" }]
        const active = play.feed({ type: "reserved", outcome: { type: "active", sid: "s1", ep: 3, tree } })
        assert.deepEqual(report(active), [{ state: "active", ep: 3, tree, short: [] }])
        play.feed({ type: "disconnected" })
        assert.deepEqual(report(play.register()), [{ state: "active", ep: 3, tree, short: [] }])
    })

    test("of three servers lets every one know how many people there are", () => {
        const plays = new Map(["rs-a", "rs-b", "rs-c"].map(id => [id, new Play(id)]))
        const members = ["a", "b", "c"].map(x => member(`ep-${x}`, `rs-${x}`))
        /** Delivers control messages between the servers until nobody has any. */
        const settle = () => {
            for (let moved = true; moved; ) {
                moved = false
                for (const [from, play] of plays)
                    for (const effect of play.effects.splice(0)) {
                        if (effect.type !== "control") continue
                        moved = true
                        plays.get(effect.peer)!.feed({ type: "control", peer: from, message: effect.message })
                    }
            }
        }
        const rosters = new Map<string, number>()
        for (const [id, play] of plays) {
            play.session({ source: "rs-a", members })
            const others = [...plays.keys()].filter(peer => (id === "rs-a" ? peer !== id : peer === "rs-a"))
            play.tree(others.map(peer => [peer, 1, 1]))
        }
        settle()
        for (const [id, play] of plays) {
            const ep = `ep-${id.slice(3)}`
            play.attach(ep)
            play.join(ep)
            settle()
        }
        for (const [id, play] of plays)
            for (const leg of play.state.sessions.get("s1")!.legs.values()) rosters.set(id, leg.toldPeople)
        assert.deepEqual([...rosters.values()], [3, 3, 3])

        plays.get("rs-b")!.ask("ep-b", { verb: "leave", message: { id: 9, sid: "s1" } })
        settle()
        assert.equal(plays.get("rs-c")!.state.sessions.get("s1")!.legs.get("ep-c")!.toldPeople, 2)
        plays.get("rs-a")!.tree([["rs-b", 1, 1]])
        assert.equal(plays.get("rs-a")!.state.sessions.get("s1")!.legs.get("ep-a")!.toldPeople, 1)
    })
})

describe("under random events", () => {
    test("units, legs and answers always add up", () => {
        const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
        let random = seed
        const below = (n: number) => {
            random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff
            return (random >>> 8) % n
        }
        const pick = <T>(list: T[]) => list[below(list.length)]
        const play = new Play("rs-a", 5)
        const eps = ["ep-a", "ep-b", "ep-c", "ep-d"]
        const sids = ["s1", "s2", "s3"]
        const peers = ["rs-b", "rs-c"]
        const open = new Map<string, number>()
        const legs = new Set<number>()
        let id = 0
        let n = 0
        for (let i = 0; i < 20_000; i++) {
            const ep = pick(eps)
            const sid = pick(sids)
            const peer = pick(peers)
            const chance = below(14)
            let asked: string | undefined
            if (chance < 7) {
                id++
                asked = `${ep} ${id}`
                open.set(asked, play.nowMs)
            }
            const effects =
                chance < 1
                    ? play.ask(ep, { verb: "attach", message: { id, boot: 1 + below(3) } })
                    : chance < 5
                      ? play.join(ep, sid, id)
                      : chance < 6
                        ? play.ask(ep, { verb: "leave", message: { id, sid } })
                        : chance < 7
                          ? play.ask(ep, { verb: "detach", message: { id } })
                          : chance < 8
                            ? play.session({
                                  sid,
                                  n: ++n,
                                  source: pick(["rs-a", ...peers]),
                                  state: pick(["opening", "open"]),
                                  members: eps
                                      .filter(() => below(3) > 0)
                                      .map(each => member(each, pick(["rs-a", ...peers]))),
                              })
                            : chance < 9
                              ? play.group({ verb: "end", message: { sid, reason: "ended" } })
                              : chance < 10
                                ? play.tree(
                                      peers.filter(() => below(3) > 0).map(each => [each, 1 + below(9), 1 + below(9)]),
                                      sid,
                                      below(4) === 0,
                                  )
                                : chance < 11
                                  ? play.feed({
                                        type: "reserved",
                                        outcome: pick<Outcome>([
                                            { type: "active", sid, ep: ++n, tree: [] },
                                            { type: "refused", sid, ep: ++n, short: [] },
                                            { type: "degraded", sid, ep: ++n, short: [] },
                                        ]),
                                    })
                                  : chance < 12
                                    ? play.count(peer, below(65), sid)
                                    : chance < 13
                                      ? play.feed({
                                            type: "endpointState",
                                            ep,
                                            state: { boot: 1 + below(3), on: below(2), rs: pick(["rs-a", "rs-b"]) },
                                        })
                                      : play.pass(100 * (1 + below(10)))
            // A new life, or the end of one, voids what the endpoint has asked for.
            if (chance < 1 || chance === 12)
                for (const request of open.keys())
                    if (request.startsWith(`${ep} `) && request !== asked) open.delete(request)
            for (const effect of effects) {
                if (effect.type === "addLeg") legs.add(effect.leg.ssrc)
                if (effect.type === "removeLeg") assert.ok(legs.delete(effect.ssrc), `seed ${seed}: removed twice`)
                if (effect.type === "toEndpoint" && "re" in effect.message)
                    open.delete(`${effect.ep} ${effect.message.re}`)
                if (effect.type === "toEndpoint")
                    assert.ok(JSON.stringify(effect.message).length <= 1024, `seed ${seed}: too long`)
            }
            const held = [...play.state.sessions.values()].flatMap(session => [...session.legs.values()])
            assert.deepEqual(new Set(held.map(leg => leg.ssrc)), legs, `seed ${seed}: legs`)
            assert.ok(legs.size <= 5, `seed ${seed}: more legs than units`)
            assert.equal(play.state.ssrcs.size, legs.size, `seed ${seed}: numbers of legs`)
            for (const [request, atMs] of open)
                assert.ok(play.nowMs - atMs <= 3100, `seed ${seed}: ${request} without an answer`)
            play.effects.length = 0
        }
    })
})

describe("the key of a session", () => {
    const key = Buffer.alloc(32, 1).toString("base64")

    test("reaches the media plane with those who share it, once, and is taken back with it or with the session", () => {
        const play = new Play()
        const mixers = ["rs-a", "rs-b"]
        const given = of(play.session({ key, mixers }), "sessionKey")
        assert.deepEqual(given, [{ type: "sessionKey", sid: "s1", key, mixers }])
        assert.deepEqual(of(play.session({ n: 2, key, mixers }), "sessionKey"), [])
        assert.deepEqual(of(play.session({ n: 3, key, mixers: ["rs-a"] }), "sessionKey").length, 1)
        assert.equal(of(play.session({ n: 4 }), "sessionKey")[0]?.key, undefined)
        play.session({ n: 5, key, mixers })
        const ended = of(play.group({ verb: "end", message: { sid: "s1", reason: "ended" } }), "sessionKey")
        assert.deepEqual(ended, [{ type: "sessionKey", sid: "s1", key: undefined, mixers: [] }])
    })

    test("is in no log, and neither is the key of a leg", () => {
        const play = new Play()
        play.session({ key, mixers: ["rs-a"] })
        play.attach("ep-a")
        const [leg] = of(play.join("ep-a"), "addLeg")
        play.feed({ type: "legRefused", sid: "s1", ep: "ep-a", what: "no room" })
        const logs = JSON.stringify(of(play.effects, "log"))
        assert.ok(logs.length > 2)
        assert.equal(logs.includes(key) || logs.includes(leg.key), false)
    })
})

describe("what an endpoint's media engine has", () => {
    test("is used, the best first; a poorer one where the units do not suffice", () => {
        const codecOf = (units: number, codecs?: string) => {
            const play = new Play("rs-a", units)
            play.session()
            play.attach("ep-a")
            const message = { id: 2, sid: "s1", ip: "127.0.2.1", port: 5004, ...(codecs ? { codecs } : {}) }
            const effects = play.ask("ep-a", { verb: "join", message })
            const [[verb, answer]] = told(effects, "ep-a") as [[string, { pt?: number; reason?: string }]]
            return verb === "done" ? answer.pt : answer.reason
        }
        assert.equal(codecOf(100, "opus,pcmu"), 111)
        assert.equal(codecOf(100, "pcmu,opus"), 0)
        assert.equal(codecOf(100, "g722,opus"), 111)
        assert.equal(codecOf(100), 0)
        assert.equal(codecOf(1, "opus,pcmu"), 0, "one unit is enough for PCMU")
        assert.equal(codecOf(1, "opus"), "no-dsp")
        assert.equal(codecOf(0, "opus,pcmu"), "no-dsp")
        assert.equal(codecOf(100, "g722"), "unsupported")
    })

    test("new keys come with each join, and mute is passed on to the media plane", () => {
        const play = new Play()
        play.session()
        play.attach("ep-a")
        const [first] = of(play.join("ep-a"), "addLeg")
        assert.equal(first.muted, false)
        const message = { id: 9, sid: "s1", ip: "127.0.2.1", port: 5004 }
        const [again] = of(play.ask("ep-a", { verb: "join", message }), "addLeg")
        assert.notEqual(again.key, first.key)
        assert.equal(again.leg.ssrc, first.leg.ssrc)
        const state = { boot: 1, on: 1, rs: "rs-a", sid: "s1" }
        const say = (muted: number) =>
            of(play.feed({ type: "endpointState", ep: "ep-a", state: { ...state, muted } }), "mute")
        assert.deepEqual(say(1), [{ type: "mute", ssrc: first.leg.ssrc, on: true }])
        assert.deepEqual(say(1), [])
        assert.equal(of(play.ask("ep-a", { verb: "join", message: { ...message, id: 10 } }), "addLeg")[0].muted, true)
        assert.deepEqual(say(0), [{ type: "mute", ssrc: first.leg.ssrc, on: false }])
    })
})

describe("the roster", () => {
    const two = { members: [member("ep-a", "rs-a"), { ...member("ep-b", "rs-b"), name: "Room B" }] }
    const joined = (units = 8) => {
        const play = new Play("rs-a", units)
        play.session(two)
        play.attach("ep-a")
        play.join("ep-a")
        play.tree([["rs-b", 1, 2]])
        play.count("rs-b", 1)
        return play
    }
    const rosters = (effects: Effect[]) => told(effects, "ep-a").map(([, message]) => message)
    const speaks = (play: Play, endpoint?: string, peer?: string) =>
        play.feed({ type: "speaker", sid: "s1", speaking: { endpoint, peer } })

    test("names who speaks, here or behind a link, no faster than a panel should redraw", () => {
        const play = joined()
        play.pass(1000)
        const mine = play.session({ ...two, n: 2 }).length
        assert.ok(mine >= 0)
        assert.deepEqual(rosters(speaks(play, "ep-a")), [{ sid: "s1", people: 2, speaker: "ep-a" }])
        play.feed({ type: "control", peer: "rs-b", message: { k: "count", sid: "s1", people: 1, speaker: "ep-b" } })
        assert.deepEqual(rosters(speaks(play, undefined, "rs-b")), [], "not yet")
        assert.deepEqual(rosters(play.pass(1000)), [{ sid: "s1", people: 2, speaker: "Room B" }])
        assert.deepEqual(rosters(play.pass(5000)), [], "once")
    })

    test("is told on along the tree: by who mixes, and in transit what the other side says", () => {
        const counts = (effects: Effect[]) => of(effects, "control").map(({ peer, message }) => [peer, message.speaker])
        const play = joined()
        assert.deepEqual(counts(speaks(play, "ep-a")), [["rs-b", "ep-a"]])
        play.feed({ type: "control", peer: "rs-b", message: { k: "count", sid: "s1", people: 1, speaker: "ep-b" } })
        assert.deepEqual(counts(speaks(play, undefined, "rs-b")), [["rs-b", undefined]], "nobody on this side")

        const between = new Play("rs-t")
        between.tree(
            [
                ["rs-a", 1, 2],
                ["rs-b", 3, 4],
            ],
            "s1",
            true,
        )
        const passed = between.feed({
            ...{ type: "control", peer: "rs-a" },
            message: { k: "count", sid: "s1", people: 1, speaker: "ep-a" },
        })
        assert.deepEqual(counts(passed), [["rs-b", "ep-a"]])
    })

    test("says what the network loses once it is worth a word, and when it is well again", () => {
        const play = joined()
        const loses = (lossPercent: number) => {
            play.pass(1000)
            return rosters(play.feed({ type: "legQuality", sid: "s1", ep: "ep-a", lossPercent }))
        }
        assert.deepEqual(loses(2.9), [])
        assert.deepEqual(loses(8.2), [{ sid: "s1", people: 2, loss: 8 }])
        assert.deepEqual(loses(9.1), [], "about the same")
        assert.deepEqual(loses(12), [{ sid: "s1", people: 2, loss: 12 }])
        assert.deepEqual(loses(1.5), [{ sid: "s1", people: 2 }])
    })

    test("says that the session is recorded, and everything anew to whoever joins again", () => {
        const play = joined()
        play.pass(1000)
        assert.deepEqual(rosters(play.session({ ...two, n: 3, rec: 1 })), [{ sid: "s1", people: 2, rec: 1 }])
        const message = { id: 40, sid: "s1", ip: "127.0.2.1", port: 5004 }
        const again = rosters(play.ask("ep-a", { verb: "join", message }))
        assert.deepEqual(again.at(-1), { sid: "s1", people: 2, rec: 1 })
    })
})
