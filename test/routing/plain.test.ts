import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type PlainWish, whyNotPlain } from "../../servers/routing/core/plain.ts"
import { of, Play, told } from "./play.ts"

const wish: PlainWish = { sid: "s1", name: "phone", codec: "pcmu", from: { ip: "192.0.2.7", port: 5004 } }

function playing(dspUnits = 8): Play {
    const play = new Play("rs-a", dspUnits)
    play.register()
    play.session()
    return play
}

describe("a plain leg", () => {
    test("is one of the people, takes units as another leg, and is reported to nobody as a member", () => {
        const play = playing()
        play.attach("ep-a")
        play.join("ep-a")
        const heldBefore = play.state.ledger.dspHeld()
        const effects = play.feed({ type: "addPlain", wish })
        const [added] = of(effects, "addPlainLeg")
        assert.equal(added.leg.from.payloadType, 0)
        assert.equal(play.state.ledger.dspHeld(), heldBefore + 1)
        assert.deepEqual(
            told(effects, "ep-a").map(([verb, { people }]) => [verb, people]),
            [["roster", 2]],
        )
        assert.deepEqual(of(effects, "toGroup"), [])
        assert.deepEqual(of(play.feed({ type: "removePlain", sid: "s1", name: "phone" }), "removeLeg"), [
            { type: "removeLeg", ssrc: added.leg.ssrc },
        ])
        assert.equal(play.state.ledger.dspHeld(), heldBefore)
    })

    test("is refused with what is wrong", () => {
        const play = playing(2)
        const why = (changes: Partial<PlainWish>) => whyNotPlain(play.state, { ...wish, ...changes })?.reason
        assert.equal(why({ sid: "other" }), "unknown-session")
        assert.equal(why({ from: { ip: "224.0.0.1", port: 5004 } }), "malformed")
        assert.equal(why({ to: { ip: "300.1.1.1", port: 5004 } }), "malformed")
        assert.equal(why({}), undefined)
        play.feed({ type: "addPlain", wish })
        assert.equal(why({}), "busy")
        assert.equal(why({ name: "other" }), "busy", "the address is taken")
        assert.equal(why({ name: "other", from: { ip: "192.0.2.8", port: 0 } }), undefined)
        play.feed({ type: "addPlain", wish: { ...wish, name: "other", from: { ip: "192.0.2.8", port: 0 } } })
        assert.equal(why({ name: "third", from: { ip: "192.0.2.9", port: 0 } }), "no-dsp")
        play.group({ verb: "end", message: { sid: "s1", reason: "ended" } })
        assert.equal(why({}), "ended")
    })

    test("ends with the session, and when the media plane cannot take it", () => {
        const play = playing()
        play.feed({ type: "addPlain", wish })
        assert.equal(of(play.group({ verb: "end", message: { sid: "s1", reason: "ended" } }), "removeLeg").length, 1)
        const other = playing()
        other.feed({ type: "addPlain", wish })
        const refused = { type: "legRefused", sid: "s1", ep: "plain:phone", what: "too many" } as const
        assert.equal(of(other.feed(refused), "removeLeg").length, 1)
    })
})
