/**
 * A self-signed X.509 v3 certificate for the links between routing servers: P-256 key, ECDSA with SHA-256.
 *
 * Owns the DER encoding of exactly this one profile (RFC 5280, RFC 5480, ITU-T X.690); Node reads certificates but
 * cannot make them. Never touches files, the clock or the network. Neighbours pin the fingerprint, so names and dates
 * decide nothing; they are there for people with `openssl x509`.
 */

import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto"

/** DER: tag, length (X.690 8.1.3: short form below 128, else the fewest length bytes), content. */
function der(tag: number, ...contents: Buffer[]): Buffer {
    const content = Buffer.concat(contents)
    if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content])
    const length: number[] = []
    for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest & 255)
    return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), content])
}

const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const set = (...parts: Buffer[]) => der(0x31, ...parts)
const octets = (content: Buffer) => der(0x04, content)
const utf8 = (value: string) => der(0x0c, Buffer.from(value))
const explicit = (number: number, content: Buffer) => der(0xa0 | number, content)
const trueValue = der(0x01, Buffer.from([0xff]))

/** A non-negative integer: no leading zeros, but one where the top bit would make it negative (X.690 8.3). */
function integer(magnitude: Buffer): Buffer {
    let start = 0
    while (start < magnitude.length - 1 && magnitude[start] === 0) start++
    const trimmed = magnitude.subarray(start)
    return der(0x02, trimmed[0] & 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed)
}

/** Bits in whole bytes, `unused` of them at the end without meaning. */
function bits(content: Buffer, unused = 0): Buffer {
    return der(0x03, Buffer.from([unused]), content)
}

function objectId(dotted: string): Buffer {
    const [first, second, ...rest] = dotted.split(".").map(Number)
    const bytes = [first * 40 + second]
    for (const part of rest) {
        const group = [part & 127]
        for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128))
            group.unshift(128 | (left & 127))
        bytes.push(...group)
    }
    return der(0x06, Buffer.from(bytes))
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on, always in UTC with seconds. */
function time(ms: number): Buffer {
    const digits = new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "")
    return Number(digits.slice(0, 4)) < 2050
        ? der(0x17, Buffer.from(`${digits.slice(2)}Z`))
        : der(0x18, Buffer.from(`${digits}Z`))
}

/** RFC 5280 4.1.2.5: "no well-defined expiration date". */
const neverMs = Date.UTC(9999, 11, 31, 23, 59, 59)

/** RFC 5758 3.2: the parameters are absent. */
const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"))

function name(commonName: string): Buffer {
    return sequence(
        set(sequence(objectId("2.5.4.10"), utf8("Parley"))),
        set(sequence(objectId("2.5.4.3"), utf8(commonName))),
    )
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
    return sequence(objectId(id), ...(critical ? [trueValue] : []), octets(value))
}

export interface CertificateRequest {
    commonName: string
    /** A P-256 key. */
    privateKey: KeyObject
    /** Now; the certificate starts a day before, for clocks that lag. */
    nowMs: number
    /** 16 random bytes. */
    serial: Buffer
}

/** The certificate in DER (RFC 5280 4.1). */
export function selfSignedCertificate(request: CertificateRequest): Buffer {
    // RFC 5280 4.1.2.2: positive and not zero.
    const serial = Buffer.from(request.serial)
    serial[0] = (serial[0] & 0x7f) | 0x40

    const tbs = sequence(
        explicit(0, integer(Buffer.from([2]))), // version 3
        integer(serial),
        ecdsaWithSha256,
        name(request.commonName),
        sequence(time(request.nowMs - 86_400_000), time(neverMs)),
        name(request.commonName),
        createPublicKey(request.privateKey).export({ type: "spki", format: "der" }), // RFC 5480 2
        explicit(
            3,
            sequence(
                extension("2.5.29.19", true, sequence()), // basicConstraints: not an authority
                extension("2.5.29.15", true, bits(Buffer.from([0x80]), 7)), // keyUsage: digitalSignature
                // extKeyUsage: serverAuth and clientAuth, as both ends of a link show their certificate.
                extension("2.5.29.37", false, sequence(objectId("1.3.6.1.5.5.7.3.1"), objectId("1.3.6.1.5.5.7.3.2"))),
            ),
        ),
    )
    return sequence(tbs, ecdsaWithSha256, bits(sign("sha256", tbs, request.privateKey)))
}

/** What neighbours pin: SHA-256 of the certificate's DER, 64 hex digits in lower case. */
export function fingerprintOf(certificate: Buffer): string {
    return createHash("sha256").update(certificate).digest("hex")
}
