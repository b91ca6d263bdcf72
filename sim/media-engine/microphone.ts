/**
 * The emulated microphone: a piece of sound, played once or again and again, in an otherwise silent room.
 * Owns the place in it. Never reads files.
 */

export class Microphone {
    private samples: Int16Array = new Int16Array(0)
    private loop = false
    /** Negative: samples of silence before it begins. */
    private position = 0

    /** Plays `samples` from the beginning after `leadSamples` of silence. */
    start(samples: Int16Array, loop: boolean, leadSamples: number): void {
        this.samples = samples
        this.loop = loop && samples.length > 0
        this.position = -leadSamples
    }

    /** The next `count` samples of the room. */
    read(target: Int16Array, count: number): void {
        for (let i = 0; i < count; i++) {
            if (this.loop && this.position >= this.samples.length) this.position = 0
            target[i] = this.position >= 0 && this.position < this.samples.length ? this.samples[this.position]! : 0
            this.position++
        }
    }

    /** Time passes unheard: the room does not wait for a stalled process. */
    skip(count: number): void {
        this.position += count
        if (this.loop && this.position >= this.samples.length) this.position %= this.samples.length
    }
}
