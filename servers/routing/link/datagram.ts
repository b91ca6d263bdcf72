/**
 * The datagrams of a link as bytes: header, tag, and the bodies of hello and probe. Layout in `protocol/link.ts`.
 *
 * Owns sealing (header and tag) and verifying. Never decides whether a sequence number is fresh and never sends.
 */

import { datagramHeaderBytes, datagramTagBytes, helloBodyBytes, linkVersion } from "../../../protocol/link.ts"
import { isTagRight, tagKeyBytes, writeTag } from "./tag.ts"

const kindBase = 0x60
const directionBytes = 4 + tagKeyBytes
/** What the TLS exporter must deliver for both directions. */
export const exportedBytes = 2 * directionBytes
/** Six bytes of sequence; at a million datagrams a second that is nine years. */
export const lastSequence = 2 ** 48 - 1

/** Plain bytes, so that they can be handed to another thread. */
export interface DirectionKey {
    linkId: number
    key: Uint8Array
}

export interface DatagramKeys {
    send: DirectionKey
    receive: DirectionKey
}

/** Splits exported keying material: first what the dialling side sends, then what the other one sends. */
export function splitKeys(exported: Buffer, iDialled: boolean): DatagramKeys {
    const direction = (at: number): DirectionKey => ({
        linkId: exported.readUInt32BE(at),
        key: Uint8Array.from(exported.subarray(at + 4, at + directionBytes)),
    })
    const [fromDialler, toDialler] = [direction(0), direction(directionBytes)]
    return iDialled ? { send: fromDialler, receive: toDialler } : { send: toDialler, receive: fromDialler }
}

/** An empty datagram for a body of `bodyBytes`, to be filled from `datagramHeaderBytes` on and then sealed. */
export function blank(bodyBytes: number): Buffer {
    return Buffer.allocUnsafe(datagramHeaderBytes + bodyBytes + datagramTagBytes)
}

/** Writes header and tag around the body that `datagram` already holds. */
export function seal(datagram: Buffer, direction: DirectionKey, kind: number, sequence: number): void {
    datagram[0] = kindBase | kind
    datagram[1] = linkVersion
    datagram.writeUInt32BE(direction.linkId, 2)
    datagram.writeUIntBE(sequence, 6, 6)
    writeTag(datagram, direction.key)
}

/** The link id in the header of what may be a link's datagram, or undefined when it is none. */
export function linkIdOf(datagram: Buffer): number | undefined {
    if (datagram.length < datagramHeaderBytes + datagramTagBytes) return undefined
    if ((datagram[0] & 0xf0) !== kindBase || datagram[1] !== linkVersion) return undefined
    return datagram.readUInt32BE(2)
}

export function sequenceOf(datagram: Buffer): number {
    return datagram.readUIntBE(6, 6)
}

export function kindOf(datagram: Buffer): number {
    return datagram[0] & 0x0f
}

export function bodyOf(datagram: Buffer): Buffer {
    return datagram.subarray(datagramHeaderBytes, datagram.length - datagramTagBytes)
}

export function isAuthentic(datagram: Buffer, direction: DirectionKey): boolean {
    return isTagRight(datagram, direction.key)
}

const noneHeard = 0xffffffff

export interface HelloBody {
    bootId: number
    number: number
    sentUs: number
    /** The peer's `sentUs` of the last hello heard from it, and how long ago that was. */
    echo?: { sentUs: number; heldUs: number }
}

export function writeHello(datagram: Buffer, hello: HelloBody): void {
    let at = datagramHeaderBytes
    at = datagram.writeUInt32BE(hello.bootId, at)
    at = datagram.writeUInt32BE(hello.number, at)
    at = datagram.writeUInt32BE(hello.sentUs, at)
    at = datagram.writeUInt32BE(hello.echo?.sentUs ?? 0, at)
    datagram.writeUInt32BE(hello.echo ? Math.min(hello.echo.heldUs, noneHeard - 1) : noneHeard, at)
}

export function readHello(body: Buffer): HelloBody | undefined {
    if (body.length !== helloBodyBytes) return undefined
    const heldUs = body.readUInt32BE(16)
    const hello: HelloBody = {
        bootId: body.readUInt32BE(0),
        number: body.readUInt32BE(4),
        sentUs: body.readUInt32BE(8),
    }
    if (heldUs !== noneHeard) hello.echo = { sentUs: body.readUInt32BE(12), heldUs }
    return hello
}
