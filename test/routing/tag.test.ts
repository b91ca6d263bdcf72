import assert from "node:assert/strict"
import { createCipheriv } from "node:crypto"
import { describe, test } from "node:test"
import { isTagRight, taggedBytesMax, tagKeyBytes, writeTag } from "../../servers/routing/link/tag.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

/** What node:crypto says of the same datagram. */
function tagByCrypto(datagram: Buffer, key: Buffer): Buffer {
    const cipher = createCipheriv("chacha20-poly1305", key, datagram.subarray(0, 12), { authTagLength: 16 })
    cipher.setAAD(datagram.subarray(0, datagram.length - 16), { plaintextLength: 0 })
    cipher.final()
    return cipher.getAuthTag()
}

describe("the tag of a link's datagram", () => {
    test("is that of AEAD_CHACHA20_POLY1305 (RFC 8439) for every length, also where sums carry far", () => {
        const random = seededRandom(drawSeed("tags"))
        const { seed } = random
        for (let length = 28; length <= taggedBytesMax; length++) {
            const [datagram, key] = [Buffer.alloc(length), Buffer.alloc(tagKeyBytes)]
            // All ones carry through every limb; all zeros leave everything to the key.
            const fill = (bytes: Buffer) => {
                const kind = random.int(0, 3)
                for (let i = 0; i < bytes.length; i++) bytes[i] = kind === 0 ? 255 : kind === 1 ? 0 : random.int(0, 255)
            }
            fill(datagram)
            fill(key)
            writeTag(datagram, key)
            const tag = datagram.subarray(length - 16).toString("hex")
            assert.equal(tag, tagByCrypto(datagram, key).toString("hex"), `seed ${seed}, ${length} bytes`)
            assert.ok(isTagRight(datagram, key))
            datagram[random.int(0, length - 1)] ^= 1 << random.int(0, 7)
            assert.equal(isTagRight(datagram, key), false, `seed ${seed}, ${length} bytes`)
        }
    })

    test("is never right for what is too short or too long to have one", () => {
        for (const length of [0, 1, 15, 16, 27, taggedBytesMax + 1, 65_507])
            assert.equal(isTagRight(Buffer.alloc(length), Buffer.alloc(tagKeyBytes)), false)
    })
})
