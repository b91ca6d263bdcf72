/**
 * The mixer of one session at this server: everybody hears everybody but themselves, each link carries everything but what
 * came from it [claims 1, 4].
 *
 * Owns the choice of who is heard (the three loudest) and the sums. Never knows sockets, time or labels: `tick` takes the
 * deadline. The mix of those who are not heard is the same for all of them: it is made and encoded once.
 */

import { type Channel, encodeFrame, frameSamples } from "./channel.ts"

const loudest = 3
/** Who is heard already stays so until another is louder by 3 dB, or every syllable would change the speakers. */
const incumbentBonus = 2
/** A speaker that is taken in or left out in the middle of a sound is faded over 5 ms. */
const fadeSamples = frameSamples / 4
/** Sums above this are bent towards full scale instead of being cut. */
const knee = 24576
const aboveKnee = 32767 - knee

/** Keeps a sum of voices within 16 bits: exact below the knee, bent above it. */
export function softLimit(sum: number): number {
    if (sum > knee) {
        const over = sum - knee
        return Math.round(knee + (over * aboveKnee) / (over + aboveKnee))
    }
    if (sum < -knee) {
        const over = -sum - knee
        return -Math.round(knee + (over * aboveKnee) / (over + aboveKnee))
    }
    return sum
}

export class Mixer {
    readonly channels: Channel[] = []
    private readonly sum = new Int32Array(frameSamples)
    private readonly mixed = new Int16Array(frameSamples)
    private readonly shared = new Uint8Array(frameSamples)
    private readonly own = new Uint8Array(frameSamples)
    private heard = 0

    add(channel: Channel): void {
        this.channels.push(channel)
    }

    remove(channel: Channel): void {
        const index = this.channels.indexOf(channel)
        if (index >= 0) this.channels.splice(index, 1)
    }

    /** One tick: takes a frame from every channel and sends one to each. */
    tick(deadlineMs: number, tick: number): void {
        const channels = this.channels
        if (this.isAsleep()) return
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            channel.wasChosen = channel.chosen
            channel.chosen = false
            channel.pull(deadlineMs)
        }
        this.choose()
        this.addUp()

        let sharedIsReady = false
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            const others = this.heard - (channel.chosen ? 1 : 0)
            if (others === 0) channel.send(undefined, tick)
            else if (channel.chosen) {
                this.mixWithout(channel, others)
                encodeFrame(this.mixed, this.own)
                channel.send(this.own, tick)
            } else {
                if (!sharedIsReady) {
                    this.mixAll()
                    encodeFrame(this.mixed, this.shared)
                    sharedIsReady = true
                }
                channel.send(this.shared, tick)
            }
        }
    }

    /** A session that is reserved and that nobody is in yet: nothing has come and nobody has anything to say. */
    private isAsleep(): boolean {
        const channels = this.channels
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            if (channel.kind === "leg" || channel.lastHeardMs >= 0) return false
        }
        return true
    }

    private choose(): void {
        const channels = this.channels
        for (let place = 0; place < loudest; place++) {
            let best: Channel | undefined
            let bestLoudness = 0
            for (let i = 0; i < channels.length; i++) {
                const channel = channels[i]!
                if (!channel.active || channel.chosen) continue
                const loudness = channel.loudness * (channel.wasChosen ? incumbentBonus : 1)
                if (loudness > bestLoudness) {
                    best = channel
                    bestLoudness = loudness
                }
            }
            if (!best) return
            best.chosen = true
        }
    }

    private addUp(): void {
        this.sum.fill(0)
        this.heard = 0
        const channels = this.channels
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            if (!channel.chosen) {
                // Pushed out by a louder one in the middle of a sound: it is heard for one more frame, fading.
                if (!channel.wasChosen || !channel.active) continue
                fade(channel.frame, 1)
                channel.chosen = true
            } else if (!channel.wasChosen && channel.loudness > channel.power) {
                // It spoke already and was not heard: it comes in faded. A fresh word is not touched.
                fade(channel.frame, 0)
            }
            this.heard++
            for (let k = 0; k < frameSamples; k++) this.sum[k]! += channel.frame[k]!
        }
    }

    private mixAll(): void {
        for (let i = 0; i < frameSamples; i++) {
            const sum = this.sum[i]!
            this.mixed[i] = this.heard > 1 ? softLimit(sum) : sum
        }
    }

    private mixWithout(channel: Channel, others: number): void {
        for (let i = 0; i < frameSamples; i++) {
            const sum = this.sum[i]! - channel.frame[i]!
            this.mixed[i] = others > 1 ? softLimit(sum) : sum
        }
    }
}

/** Fades out from 1, or in from 0, over the first 5 ms. */
function fade(frame: Int16Array, from: 0 | 1): void {
    for (let i = 0; i < fadeSamples; i++) {
        const share = (i + 1) / (fadeSamples + 1)
        frame[i] = Math.round(frame[i]! * (from === 1 ? 1 - share : share))
    }
    if (from === 1) frame.fill(0, fadeSamples)
}
