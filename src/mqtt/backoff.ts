/**
 * How long to wait before the next attempt to connect. Owns the delays only; time comes as an argument.
 */

const firstMs = 300
const lastMs = 20000
const lastStep = 7
/** The delay stays at 300 ms * 2^3 so long after a connection was lost: a broker that restarts is found within 3 s. */
const patientMs = 60000
const patientStep = 3
/** After a refusal: somebody has to change something first. */
const refusedStep = 5
/** A connection that lived so long was a good one: the next attempt is quick again. */
const stableMs = 1000

export class Backoff {
    private step = 0
    private lostMs = 0

    /** A connection that was up since `upMs` was lost. */
    lost(upMs: number, nowMs: number): void {
        this.lostMs = nowMs
        if (nowMs - upMs >= stableMs) this.step = 0
    }

    /** With jitter of up to a half, so that the boards of a building do not come back at once. */
    nextMs(refused: boolean, nowMs: number): number {
        if (refused && this.step < refusedStep) this.step = refusedStep
        const delayMs = Math.min(firstMs << this.step, lastMs)
        const impatient = nowMs - this.lostMs > patientMs
        if (this.step < patientStep || (impatient && this.step < lastStep)) this.step++
        return Math.ceil(delayMs * (1 - Math.random() / 2))
    }
}
