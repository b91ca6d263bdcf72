import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { atWantedLoad, participantsOfCore } from "../../bench/media/wanted-load.ts"

describe("the search for the participants that load a core to 70 %", () => {
    /** A mixer that costs so much of a core for each participant, more of it the more there are. */
    const mixer = (ofOne: number, lost: (tries: number, participants: number) => number = () => 0) => {
        const tried: number[] = []
        const measure = async (participants: number) => {
            tried.push(participants)
            return {
                load: 0.02 + participants * ofOne * (1 + participants / 4000),
                loss: lost(tried.length, participants),
            }
        }
        return { tried, measure }
    }

    test("ends near that load, from far below and far above, and tells how many it would be", async () => {
        for (const firstGuess of [100, 400, 1200]) {
            const { tried, measure } = mixer(0.0015)
            const { participants, result } = await atWantedLoad("ours", firstGuess, measure)
            assert.ok(Math.abs(result.load - 0.7) <= 0.05, `${result.load}`)
            assert.ok(Math.abs(participantsOfCore(participants, result) - 410) < 20, `${tried}`)
            assert.ok(
                tried.every(count => count % 4 === 0),
                `whole rooms: ${tried}`,
            )
        }
    })

    test("tries a run again in which packets were lost, as what was lost was not worked on", async () => {
        const { tried, measure } = mixer(0.0015, tries => (tries === 1 ? 0.2 : 0))
        await atWantedLoad("ours", 400, measure)
        assert.deepEqual(tried, [400, 400])
    })

    test("takes the most that the machine carries when it does not carry that load", async () => {
        const { tried, measure } = mixer(0.0015, (_, participants) => (participants > 300 ? 0.2 : 0))
        const { participants, result } = await atWantedLoad("ours", 400, measure)
        assert.deepEqual(tried, [400, 400, 280])
        assert.equal(participants, 280)
        assert.ok(Math.abs(result.load - 0.47) < 0.01, `${result.load}`)
    })

    test("says that nothing was measured when packets are always lost", async () => {
        const { measure } = mixer(0.0015, () => 0.2)
        await assert.rejects(atWantedLoad("ours", 400, measure), /ours: at least 20\.0 % were lost/)
    })
})
