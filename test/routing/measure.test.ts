import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { after, describe, test } from "node:test"
import {
    readTrainAnswer,
    readTrainPacket,
    trainPacketBytes,
    trainPacketsMax,
    writeTrainAnswer,
    writeTrainPacket,
} from "../../protocol/train.ts"
import {
    bandwidthKbps,
    median,
    pathFigures,
    steadier,
    trainCapacityKbps,
} from "../../servers/routing/measure/figures.ts"
import { PathMeter } from "../../servers/routing/measure/path-meter.ts"
import { parseTracepath } from "../../servers/routing/measure/tracepath.ts"
import { TrainAnswerer } from "../../servers/routing/measure/train-answerer.ts"
import { MediaPlane } from "../../servers/routing/media/plane.ts"
import { noConditions, type PathConditions } from "../../servers/routing/underlay/conditions.ts"
import { Underlay } from "../../servers/routing/underlay/underlay.ts"
import { loopbackAddress } from "../support/addresses.ts"

const stops: (() => unknown)[] = []
after(async () => {
    for (const stop of stops) await stop()
})

/** A meter and a server that answers it, with an emulated path from the one to the other. */
async function pair(conditions: Partial<PathConditions>, isListed = true) {
    const [ip, far] = [loopbackAddress(), loopbackAddress()]
    const underlay = new Underlay({ seed: 5, paths: new Map([[far, { ...noConditions, ...conditions }]]) })
    const meter = new PathMeter({ ip, configuredKbps: 100_000, underlay })
    await meter.start()
    const answerer = new TrainAnswerer(address => isListed && address === ip)
    const plane = new MediaPlane({
        ...{ ip: far, port: 0, loadPercent: () => 0, sendOnLink: () => {} },
        serverDatagram: (datagram, address, port, reply) =>
            answerer.take(datagram, address, port, performance.now() * 1000, reply),
    })
    const started = await plane.start()
    assert.ok(started.ok)
    stops.push(
        () => plane.close(),
        () => answerer.close(),
        () => underlay.close(),
        () => meter.close(),
    )
    const target = { id: "rs-far", ip: far, mediaPort: started.value.port }
    return { meter, target, answerer, underlay }
}

describe("the measurement of a path", () => {
    test("[claims 7, 11] finds delay, hops and the capacity of the bottleneck, which lowers what is configured", async () => {
        for (const rateKbps of [2000, 10_000, 40_000]) {
            const { meter, target } = await pair({ delayMs: 10, rateKbps })
            const { path } = await meter.measure(target)
            assert.ok(path)
            assert.equal(path.probesAnswered, 10)
            assert.ok(path.rttMs >= 10, `${path.rttMs} ms`)
            assert.equal(path.hops, 1)
            const found = path.bandwidthKbps / 0.8
            // Never much more than there is. A busy machine spreads the train, and less is found: that errs on the safe side.
            assert.ok(found < 1.25 * rateKbps && found > 0.3 * rateKbps, `${found} of ${rateKbps} kbit/s`)
            assert.equal(meter.capacityKbps("rs-far"), path.bandwidthKbps)
        }
    })

    test("counts on what is configured when the far end does not know us, and answers nothing to strangers", async () => {
        const { meter, target, answerer } = await pair({ rateKbps: 2000 }, false)
        const { path } = await meter.measure(target)
        assert.equal(path?.bandwidthKbps, 100_000)
        assert.equal(answerer.counters.answered, 0)
        assert.ok(answerer.counters.refused > 0)
    })

    test("[claim 11] sees loss and jitter, and a path that is none", async () => {
        const lossy = await pair({ loss: 0.5 })
        const { path } = await lossy.meter.measure(lossy.target)
        assert.ok(path === undefined || path.loss > 0.02 || path.probesAnswered >= 9, JSON.stringify(path))
        const cut = await pair({ cut: true })
        assert.deepEqual(await cut.meter.measure(cut.target), {})
    })

    test("takes median, 95th percentile and loss as the rule wants them", () => {
        assert.equal(pathFigures(10, []), undefined)
        const figures = pathFigures(10, [14, 10, 11, 12, 13, 30])!
        assert.deepEqual([figures.rttMs, figures.jitterP95Ms, figures.probesAnswered], [13, 20, 6])
        assert.equal(figures.loss, 0.3)
        assert.equal(pathFigures(10, [1, 1, 1, 1, 1, 1, 1, 1, 1])!.loss, 0, "one of ten says nothing")
        assert.equal(steadier(figures, pathFigures(10, [1, 1, 1, 1, 1, 1, 1, 1, 1]))?.loss, 0)
        assert.equal(median([3, 1, 2]), 2)
        assert.equal(bandwidthKbps(1000, undefined), 1000)
        assert.equal(bandwidthKbps(1000, 500), 400)
        assert.equal(bandwidthKbps(1000, 50_000), 1000)
    })
})

describe("a packet train", () => {
    test("tells the capacity by how far apart its packets come", () => {
        const arrivals = Array.from({ length: 11 }, (_, index) => ({ index, afterUs: index * 982.4 }))
        const answer = readTrainAnswer(writeTrainAnswer({ count: 11, tag: 9, arrivals }))!
        assert.equal(answer.tag, 9)
        assert.ok(Math.abs(trainCapacityKbps(answer)! - 10_000) < 10)
        assert.equal(trainCapacityKbps({ ...answer, arrivals: arrivals.slice(0, 3) }), undefined, "too few came")
        assert.equal(trainCapacityKbps({ ...answer, arrivals: arrivals.map(a => ({ ...a, afterUs: 0 })) }), undefined)
    })

    test("is answered once, by less than one packet of it, and never for ever", () => {
        const answers: Buffer[] = []
        const answerer = new TrainAnswerer(() => true)
        const take = (datagram: Buffer, port = 1) => answerer.take(datagram, "10.0.0.1", port, 5, a => answers.push(a))
        for (let index = 0; index < trainPacketsMax; index++)
            take(writeTrainPacket({ index, count: trainPacketsMax, tag: 1 }))
        assert.equal(answers.length, 1)
        assert.ok(answers[0].length < trainPacketBytes)
        for (let port = 1; port < 100; port++) take(writeTrainPacket({ index: 0, count: 9, tag: 2 }), port)
        assert.equal(answerer.counters.refused, 97, "two trains at once from one address")
        answerer.close()
    })

    test("of any bytes is read or refused, and never throws", () => {
        const seed = Number(process.env.SEED ?? Date.now() % 100_000)
        let state = seed
        const random = () => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0
            return state / 2 ** 32
        }
        for (let i = 0; i < 5000; i++) {
            const good =
                random() < 0.5
                    ? writeTrainPacket({ index: 1, count: 5, tag: 3 })
                    : writeTrainAnswer({ count: 4, tag: 1, arrivals: [{ index: 0, afterUs: 0 }] })
            for (let flips = 0; flips < 4; flips++)
                good[Math.floor(random() * Math.min(20, good.length))] = random() * 256
            const cut = random() < 0.2 ? good.subarray(0, Math.floor(random() * 16)) : good
            if (cut.length < 12) continue
            assert.doesNotThrow(() => [readTrainPacket(cut), readTrainAnswer(cut)], `seed ${seed}`)
        }
    })
})

describe("tracepath's output", () => {
    test("gives the routers that answered, in order, each once", () => {
        const printed = [
            " 1?: [LOCALHOST]                      pmtu 1500",
            " 1:  192.168.1.1                       0.512ms ",
            " 1:  192.168.1.1                       0.420ms ",
            " 2:  no reply",
            " 3:  62.155.246.5                      9.1ms asymm  4 ",
            "10:  203.0.113.7                      22.0ms reached",
            "     Resume: pmtu 1492 hops 10 back 10 ",
            "12:  999.1.1.1  1ms",
        ].join("\n")
        assert.deepEqual(parseTracepath(printed), ["192.168.1.1", "62.155.246.5", "203.0.113.7"])
        assert.deepEqual(parseTracepath(""), [])
    })
})

test("a train from a stranger's socket is not answered by a routing server's media port", async () => {
    const { target, answerer } = await pair({})
    const stranger = createSocket("udp4")
    await new Promise<void>(done => stranger.bind(0, loopbackAddress(), done))
    let heard = 0
    stranger.on("message", () => heard++)
    for (let index = 0; index < 2; index++)
        stranger.send(writeTrainPacket({ index, count: 2, tag: 7 }), target.mediaPort, target.ip)
    while (answerer.counters.refused < 2) await new Promise(resolve => setImmediate(resolve))
    assert.equal(heard, 0)
    stranger.close()
})
