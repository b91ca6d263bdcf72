/**
 * The image of a board, one file from the beginning of its flash: the base firmware, and in their places the configuration
 * partition (pins) and the program with the settings. Pure: bytes in, bytes out.
 *
 *     0x0        base firmware (boot loader, partition table, application)
 *     0x9000     DCFG: what `devs dcfg` writes
 *     0x1c0000   FSTR: 256 KB as the machine itself wrote them (sim/vm/provision.ts)
 */

import { failure, type Outcome, success } from "../outcome.ts"
import { chips, type FactoryBoard } from "./boards.ts"

const imageMagic = 0xe9
const chipIdOffset = 12
/** The partition table of the base firmware says that DCFG is no longer. */
export const dcfgBytesMax = 0x2000
const dcfgMagic = Buffer.from("444346470a9bb4ca", "hex")

/** Fails when the base is not one for this board, or something lies where the partitions belong. */
export function assembleImage(board: FactoryBoard, base: Uint8Array, fstor: Uint8Array): Outcome<Buffer> {
    if (fstor.length !== board.fstorBytes)
        throw new Error(`program and settings take ${fstor.length} bytes, and the partition has ${board.fstorBytes}`)
    const wrong = wrongWithBase(board, base)
    if (wrong)
        return failure("failed", "base-firmware", `${board.baseFile}: ${wrong}`, {
            who: "maker",
            next: "take that file unchanged from a release of devicescript-esp32",
        })
    const image = Buffer.alloc(Math.max(base.length, board.fstorOffset + board.fstorBytes), 0xff)
    image.set(base)
    image.fill(0xff, board.dcfgOffset, board.dcfgOffset + dcfgBytesMax)
    image.set(board.dcfg, board.dcfgOffset)
    image.set(fstor, board.fstorOffset)
    return success(image)
}

/** Program and settings of an image. */
export function fstorOf(board: FactoryBoard, image: Uint8Array): Buffer {
    return Buffer.from(image.subarray(board.fstorOffset, board.fstorOffset + board.fstorBytes))
}

function wrongWithBase(board: FactoryBoard, base: Uint8Array): string {
    const bytes = Buffer.from(base.buffer, base.byteOffset, base.length)
    if (bytes.length < board.dcfgOffset + dcfgBytesMax) return `${bytes.length} bytes, which is no firmware`
    if (bytes[0] !== imageMagic) return "no firmware of an ESP32 (it does not begin with E9)"
    const chip = bytes.readUInt16LE(chipIdOffset)
    const { imageId } = chips[board.archId]
    if (chip !== imageId) return `firmware for another chip (${chip}), and ${board.name} has ${imageId}`
    if (board.dcfg.length > dcfgBytesMax) return `the pins of ${board.name} do not fit into ${dcfgBytesMax} bytes`
    const place = bytes.subarray(board.dcfgOffset, board.dcfgOffset + dcfgMagic.length)
    if (!place.equals(dcfgMagic) && !isEmpty(place)) return "something else lies where the pins belong"
    if (!isEmpty(bytes.subarray(board.fstorOffset, board.fstorOffset + board.fstorBytes)))
        return "something lies where program and settings belong"
    return ""
}

function isEmpty(bytes: Uint8Array): boolean {
    return bytes.every(byte => byte === 0xff || byte === 0)
}
