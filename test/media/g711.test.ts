import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { pcmuSilence } from "../../media/pcmu.ts"
import { decodePcmu, encodePcmu, pcmuToLinear } from "./g711.ts"

/** ITU-T G.711 table 2a: decision values (14 bit, x 4 in 16 bits), the character signal after inversion, the value decoded. */
const ituPoints: [byte: number, decoded: number][] = [
    [0x80, 8031],
    [0x8f, 4191],
    [0x9f, 2079],
    [0xaf, 1023],
    [0xbf, 495],
    [0xcf, 231],
    [0xdf, 99],
    [0xef, 33],
    [0xfe, 2],
    [0xff, 0],
]

function encode(sample: number): number {
    const byte = new Uint8Array(1)
    encodePcmu(Int16Array.of(sample), 1, byte, 0)
    return byte[0]!
}

describe("PCMU", () => {
    test("decodes the points of the ITU table, of both signs", () => {
        for (const [byte, value] of ituPoints) {
            assert.equal(pcmuToLinear(byte), value * 4)
            assert.equal(pcmuToLinear(byte & 0x7f), 0 - value * 4)
        }
    })

    test("encodes every decoded value to the byte it came from, but for the second zero", () => {
        for (let byte = 0; byte < 256; byte++) if (byte !== 0x7f) assert.equal(encode(pcmuToLinear(byte)), byte)
        assert.equal(encode(0), pcmuSilence)
    })

    test("is monotonic and stays within half a step of every sample that it can carry", () => {
        let previous = -Infinity
        for (let sample = -32768; sample <= 32767; sample++) {
            const decoded = pcmuToLinear(encode(sample))
            assert.ok(decoded >= previous, `${sample}`)
            previous = decoded
            if (Math.abs(sample) > 32124) continue
            const step = 8 << Math.max(0, Math.floor(Math.log2(Math.abs(sample) + 132)) - 7)
            assert.ok(Math.abs(decoded - sample) <= step / 2, `${sample} -> ${decoded}`)
        }
    })

    test("decodes a part of a packet and touches nothing else", () => {
        const samples = new Int16Array(4).fill(7)
        decodePcmu(Uint8Array.of(1, 0x80, 0x00, 2), 1, 2, samples)
        assert.deepEqual([...samples], [32124, -32124, 7, 7])
    })
})
