/**
 * Which packets of silence need not be sent: a stream pauses once the far side knows the silence for one, and shows now and then
 * that it is alive. Sequence numbers go on without a gap, times keep their length, so that a pause is no loss.
 */

/** Packets of silence that are still sent, so that the far side knows the pause for one; then one each so often. */
const hangoverFrames = 10
const keepaliveFrames = 25

export class Pause {
    private silentFrames = keepaliveFrames

    /** The sound of a pause that has just ended: packets with it carry the marker (RFC 3551, 4.1). */
    hasEnded = false

    /** Told of each frame of 20 ms in turn: whether it has to be sent. */
    isDue(isSilent: boolean): boolean {
        this.hasEnded = !isSilent && this.silentFrames > hangoverFrames
        this.silentFrames = isSilent ? this.silentFrames + 1 : 0
        return this.silentFrames <= hangoverFrames || this.silentFrames % keepaliveFrames === 0
    }
}
