/**
 * The clock of an emulated sound card: a piece of sound each 5 ms of its own time, which may run off by some parts per million.
 *
 * Owns the number of the piece and when it is due, in milliseconds of the process. Pure; never captures or plays.
 */

/** Behind by more pieces than this at once, it has not worked on them: the process was stalled. */
const behindMax = 2

export class CardClock {
    /** The next piece, from 0 on. */
    piece = 0
    private readonly periodMs: number
    private startMs = -1
    /** The piece that was due at `startMs`. */
    private startPiece = 0

    /** A positive `ppm` makes the card's clock fast: it takes and gives more samples than there should be. */
    constructor(pieceMs: number, ppm: number) {
        this.periodMs = pieceMs / (1 + ppm / 1e6)
    }

    restart(): void {
        this.startMs = -1
    }

    get dueMs(): number {
        return this.startMs + (this.piece - this.startPiece) * this.periodMs
    }

    /** How many pieces have to be left out at `nowMs`, because nobody was there for them. */
    skip(nowMs: number): number {
        if (this.startMs < 0) {
            this.startMs = nowMs
            this.startPiece = this.piece
        }
        const behind = Math.floor((nowMs - this.dueMs) / this.periodMs + 1e-6)
        const skipped = behind >= behindMax ? behind : 0
        this.piece += skipped
        return skipped
    }

    isDue(nowMs: number): boolean {
        return this.dueMs <= nowMs + 1e-6
    }

    next(): void {
        this.piece++
    }
}
