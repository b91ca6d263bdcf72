/**
 * Packets that wait for their time, still encoded, by sequence number.
 *
 * Owns the copies. Memory follows what really waits: a packet lies in a cell that is used again, so that nothing is allocated
 * once a stream runs. Sequence numbers are extended ones; of any two that are 128 apart, the older has to be gone.
 */

const slots = 128
const cellStep = 64
/** What is known of the packet in a slot lies together, in a line of the processor's cache: numbers from these places on. */
const fields = 8
const sequenceAt = 0
const startAt = 1
const samplesAt = 2
const bytesAt = 3
const cellAt = 4

export class PacketStore {
    /** A sequence number of -1: nothing is in the slot. */
    private readonly known = new Float64Array(slots * fields).fill(-1)
    private readonly cells: Uint8Array[] = []
    private readonly free: number[] = []
    private lowest = 0
    private newest = 0
    count = 0

    /** Keeps a copy of a payload: `samples` of sound from the media time `start` on. False: it is too far behind the others. */
    put(sequence: number, start: number, samples: number, packet: Uint8Array, offset: number, bytes: number): boolean {
        if (this.count > 0 && sequence <= this.newest - slots) return false
        this.forget(sequence - slots)
        const slot = sequence % slots
        const { known } = this
        const at = slot * fields
        if (known[at + sequenceAt]! >= 0) this.drop(slot)
        const index = this.free.pop() ?? this.cells.length
        let cell = this.cells[index]
        if (!cell || cell.length < bytes) {
            cell = new Uint8Array(Math.ceil(bytes / cellStep) * cellStep)
            this.cells[index] = cell
        }
        for (let i = 0; i < bytes; i++) cell[i] = packet[offset + i]!
        known[at + sequenceAt] = sequence
        known[at + startAt] = start
        known[at + samplesAt] = samples
        known[at + bytesAt] = bytes
        known[at + cellAt] = index
        if (this.count === 0 || sequence < this.lowest) this.lowest = sequence
        if (this.count === 0 || sequence > this.newest) this.newest = sequence
        this.count++
        return true
    }

    /** The slot of the first packet in order; -1 when none waits. */
    first(): number {
        if (this.count === 0) return -1
        while (this.known[(this.lowest % slots) * fields + sequenceAt] !== this.lowest) this.lowest++
        return this.lowest % slots
    }

    start(slot: number): number {
        return this.known[slot * fields + startAt]!
    }

    samples(slot: number): number {
        return this.known[slot * fields + samplesAt]!
    }

    sequence(slot: number): number {
        return this.known[slot * fields + sequenceAt]!
    }

    bytes(slot: number): number {
        return this.known[slot * fields + bytesAt]!
    }

    /** Holds the payload from 0 on; good until the slot is dropped. */
    payload(slot: number): Uint8Array {
        return this.cells[this.known[slot * fields + cellAt]!]!
    }

    drop(slot: number): void {
        this.known[slot * fields + sequenceAt] = -1
        this.free.push(this.known[slot * fields + cellAt]!)
        this.count--
    }

    /** Drops what is numbered `last` or lower. */
    private forget(last: number): void {
        if (this.count === 0) return
        for (let sequence = this.lowest; sequence <= Math.min(last, this.newest); sequence++)
            if (this.known[(sequence % slots) * fields + sequenceAt] === sequence) this.drop(sequence % slots)
    }

    clear(): void {
        for (let slot = 0; slot < slots; slot++) if (this.known[slot * fields + sequenceAt]! >= 0) this.drop(slot)
    }
}
