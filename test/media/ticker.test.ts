import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { RtpHeader, readRtp, sequenceDistance, timestampDistance, writeRtp } from "../../media/rtp.ts"
import { Ticker, type TickerClock } from "../../media/ticker.ts"

/** A clock that a test moves; every timer fires `lateMs` after its time. */
class VirtualClock implements TickerClock {
    readonly isCoarse = true
    time = 1000
    lateMs = 0.3
    private timers: { dueMs: number; call: () => void }[] = []

    nowMs(): number {
        return this.time
    }

    after(delayMs: number, call: () => void): () => void {
        const timer = { dueMs: this.time + Math.max(1, delayMs) + this.lateMs, call }
        this.timers.push(timer)
        return () => {
            this.timers = this.timers.filter(other => other !== timer)
        }
    }

    afterInput(call: () => void): void {
        call()
    }

    /** Lets `ms` pass; with `stalled` nothing runs until they have passed. */
    pass(ms: number, stalled = false): void {
        const endMs = this.time + ms
        if (stalled) this.time = endMs
        for (;;) {
            const due = this.timers.filter(timer => timer.dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0]
            if (!due) break
            this.timers = this.timers.filter(timer => timer !== due)
            this.time = Math.max(this.time, due.dueMs)
            due.call()
        }
        this.time = Math.max(this.time, endMs)
    }
}

function listen(periodMs = 20) {
    const clock = new VirtualClock()
    const ticker = new Ticker(periodMs, clock)
    const ticks: [number, number][] = []
    const listener = { onTick: (deadlineMs: number, tick: number) => void ticks.push([deadlineMs, tick]) }
    ticker.add(listener)
    return { clock, ticker, ticks, listener }
}

describe("the ticker", () => {
    test("does not drift, whatever its timers do", () => {
        const { clock, ticks } = listen()
        clock.pass(3_600_000)
        assert.ok(ticks.length >= 179_999, `${ticks.length}`)
        assert.ok(
            ticks.every(([deadlineMs, tick]) => deadlineMs === 1000 + tick * 20),
            "deadlines are absolute",
        )
    })

    test("begins a tick rather up to 1 ms before its time than as much after it, and none twice", () => {
        const clock = new VirtualClock()
        const ticker = new Ticker(20, clock)
        const early: number[] = []
        ticker.add({ onTick: deadlineMs => void early.push(deadlineMs - clock.time) })
        for (const lateMs of [0, 0.3, 0.7]) {
            clock.lateMs = lateMs
            clock.pass(1000)
        }
        assert.ok(early.length >= 149 && early.length <= 150, `${early.length}`)
        assert.ok(
            early.every(ms => ms > -0.7 && ms <= 1),
            `${Math.min(...early)} to ${Math.max(...early)}`,
        )
        const mean = early.reduce((sum, ms) => sum + ms, 0) / early.length
        assert.ok(mean > 0, `${mean} ms on the average`)
    })

    test("makes good three ticks after a stall, skips the others with their numbers, and counts them", () => {
        const { clock, ticker, ticks } = listen()
        clock.pass(100)
        const before = ticks.length
        clock.pass(200, true)
        clock.pass(5)
        const numbers = ticks.slice(before).map(([, tick]) => tick)
        assert.deepEqual(numbers, [13, 14, 15])
        assert.ok(ticker.statistics().skipped >= 7, `${ticker.statistics().skipped}`)
        assert.ok(ticker.statistics().late >= 1, "late")
        assert.ok(ticker.statistics().latenessMaxMs > 30, `${ticker.statistics().latenessMaxMs}`)
    })

    test("says how far it is behind, so that what is read then is not blamed for it", () => {
        const { clock, ticker } = listen()
        clock.pass(25)
        assert.equal(ticker.behindMs(), 0)
        clock.time = 1090
        assert.equal(ticker.behindMs(), 50)
    })

    test("stops with its last listener, and starts anew with the next", () => {
        const { clock, ticker, ticks, listener } = listen()
        clock.pass(100)
        ticker.remove(listener)
        const before = ticks.length
        clock.pass(1000)
        assert.equal(ticks.length, before)
        ticker.add(listener)
        clock.pass(100)
        assert.ok(ticks.length - before >= 4 && ticks.length - before <= 5, `${ticks.length - before}`)
    })

    test("ticks once a period also when a listener leaves and comes back within a tick", () => {
        const { clock, ticker, listener } = listen()
        let count = 0
        const restless = {
            onTick() {
                count++
                ticker.remove(restless)
                ticker.add(restless)
            },
        }
        ticker.add(restless)
        clock.pass(1000)
        assert.ok(count >= 49 && count <= 50, `beside another: ${count}`)
        ticker.remove(listener)
        count = 0
        clock.pass(1000)
        assert.ok(count >= 45 && count <= 50, `alone: ${count}`)
    })
})

describe("RTP headers", () => {
    test("are read as they were written, with their numbers wrapped", () => {
        const packet = new Uint8Array(20)
        const header = new RtpHeader()
        writeRtp(packet, true, 96, 65536 + 5, 4294967296 + 9, 0xfedcba98)
        assert.ok(readRtp(packet, header), "valid")
        const { marker, payloadType, sequence, timestamp, ssrc, payloadOffset, payloadBytes } = header
        assert.deepEqual(
            [marker, payloadType, sequence, timestamp, ssrc, payloadOffset, payloadBytes],
            [true, 96, 5, 9, 0xfedcba98, 12, 8],
        )
        assert.equal(sequenceDistance(2, 65534), 4)
        assert.equal(sequenceDistance(65534, 2), -4)
        assert.equal(timestampDistance(5, 4294967290), 11)
    })

    test("with CSRCs, an extension and padding give the payload alone", () => {
        const header = new RtpHeader()
        const packet = new Uint8Array(12 + 8 + 4 + 4 + 10 + 3)
        writeRtp(packet, false, 0, 1, 2, 3)
        packet[0] = 0x80 | 0x20 | 0x10 | 2
        packet[23] = 1
        packet[packet.length - 1] = 3
        assert.ok(readRtp(packet, header), "valid")
        assert.deepEqual([header.payloadOffset, header.payloadBytes], [28, 10])
    })

    test("that contradict their length, are of another version, or are RTCP are refused", () => {
        const header = new RtpHeader()
        const bad = (change: (packet: Uint8Array) => void, bytes = 20): boolean => {
            const packet = new Uint8Array(bytes)
            writeRtp(packet, false, 0, 1, 2, 3)
            change(packet)
            return readRtp(packet, header)
        }
        assert.equal(
            bad(() => {}),
            true,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0x40
            }),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0x83
            }),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0x90
                packet[15] = 2
            }),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0x90
            }, 14),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0xa0
                packet[19] = 0
            }),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[0] = 0xa0
                packet[19] = 9
            }),
            false,
        )
        assert.equal(
            bad(packet => {
                packet[1] = 200
            }),
            false,
        )
        assert.equal(readRtp(new Uint8Array(11), header), false)
        assert.equal(readRtp(new Uint8Array(2000), header), false)
    })
})
