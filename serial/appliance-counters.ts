/** The counters of services/appliance.md: their register and their layout. */

export const countersRegister = 0x183

export interface Counters {
    boot: number
    received: number
    published: number
    refused: number
    reconnects: number
}

/** Undefined when that is no such register. */
export function readCounters(data: Buffer | undefined): Counters | undefined {
    if (!data || data.length < 20) return undefined
    const at = (index: number) => data.readUInt32LE(index * 4)
    return { boot: at(0), received: at(1), published: at(2), refused: at(3), reconnects: at(4) }
}
