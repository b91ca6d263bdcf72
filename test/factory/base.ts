/** A dummy base firmware: what an ESP32 image begins with, a partition table's magic, an application, and nothing that runs. */

import { chips, type FactoryBoard } from "../../cli/factory/boards.ts"

export function dummyBase(board: FactoryBoard): Buffer {
    const base = Buffer.alloc(0x40000, 0xff)
    for (const offset of [0, 0x10000]) {
        base[offset] = 0xe9
        base.writeUInt16LE(chips[board.archId].imageId, offset + 12)
    }
    base.writeUInt16LE(0x50aa, 0x8000)
    return base
}
