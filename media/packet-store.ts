/**
 * Packets that wait for their time, still encoded, by sequence number.
 *
 * Owns the copies. Memory follows what really waits: a packet lies in a cell that is used again, so that nothing is allocated
 * once a stream runs. Sequence numbers are extended ones; of any two that are 128 apart, the older has to be gone.
 */

const slots = 128
const cellStep = 64

export class PacketStore {
    private readonly sequences = new Float64Array(slots).fill(-1)
    private readonly startOf = new Float64Array(slots)
    private readonly samplesOf = new Int32Array(slots)
    private readonly bytesOf = new Int32Array(slots)
    private readonly cellOf = new Int32Array(slots)
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
        if (this.sequences[slot]! >= 0) this.drop(slot)
        const index = this.free.pop() ?? this.cells.length
        let cell = this.cells[index]
        if (!cell || cell.length < bytes) {
            cell = new Uint8Array(Math.ceil(bytes / cellStep) * cellStep)
            this.cells[index] = cell
        }
        for (let i = 0; i < bytes; i++) cell[i] = packet[offset + i]!
        this.sequences[slot] = sequence
        this.startOf[slot] = start
        this.samplesOf[slot] = samples
        this.bytesOf[slot] = bytes
        this.cellOf[slot] = index
        if (this.count === 0 || sequence < this.lowest) this.lowest = sequence
        if (this.count === 0 || sequence > this.newest) this.newest = sequence
        this.count++
        return true
    }

    /** The slot of the first packet in order; -1 when none waits. */
    first(): number {
        if (this.count === 0) return -1
        while (this.sequences[this.lowest % slots] !== this.lowest) this.lowest++
        return this.lowest % slots
    }

    start(slot: number): number {
        return this.startOf[slot]!
    }

    samples(slot: number): number {
        return this.samplesOf[slot]!
    }

    sequence(slot: number): number {
        return this.sequences[slot]!
    }

    bytes(slot: number): number {
        return this.bytesOf[slot]!
    }

    /** Holds the payload from 0 on; good until the slot is dropped. */
    payload(slot: number): Uint8Array {
        return this.cells[this.cellOf[slot]!]!
    }

    drop(slot: number): void {
        this.sequences[slot] = -1
        this.free.push(this.cellOf[slot]!)
        this.count--
    }

    /** Drops what is numbered `last` or lower. */
    private forget(last: number): void {
        if (this.count === 0) return
        for (let sequence = this.lowest; sequence <= Math.min(last, this.newest); sequence++)
            if (this.sequences[sequence % slots] === sequence) this.drop(sequence % slots)
    }

    clear(): void {
        for (let slot = 0; slot < slots; slot++) if (this.sequences[slot]! >= 0) this.drop(slot)
    }
}
