/**
 * The mixer of one session at this server: everybody hears everybody but themselves, each link carries everything but what
 * came from it [claims 1, 4].
 *
 * Owns the choice of who is heard (the three loudest) and the sums. Never knows sockets, time or labels: `tick` takes the
 * deadline. The mix of those who are not heard is the same for all of them: it is made once and encoded once for each codec.
 */

import { FrameSum } from "../../../media/frames.ts"
import { fadeOutOf } from "../../../media/level.ts"
import { type Channel, frameSamples } from "./channel.ts"
import { type EncodedMix, Encodes } from "./encodes.ts"
import { ActiveSpeaker } from "./speaker.ts"

const loudest = 3
/** Who is heard already stays so until another is louder by 3 dB, or every syllable would change the speakers. */
const incumbentBonus = 2
/** A speaker that is taken in or left out in the middle of a sound is faded over 5 ms. */
const fadeSamples = frameSamples / 4
const fadeOut = fadeOutOf(fadeSamples)
/** All mixers of a worker take turns with it: what it holds is used up before the next one begins. */
const sum = new FrameSum(frameSamples)
/** Never written to. */
const silence = new Int16Array(frameSamples)

export class Mixer {
    readonly channels: Channel[] = []
    private readonly speaker = new ActiveSpeaker()
    private readonly encodes = new Encodes()
    /** All that is heard in this tick, and in the one before. */
    private all = new Int16Array(frameSamples)
    private allBefore = new Int16Array(frameSamples)
    /** The end of a word of somebody who left in the middle of it. */
    private readonly farewell = new Int16Array(frameSamples)
    private hasFarewell = false
    private heard = 0
    private heardBefore = 0

    /** `onSpeaker`: somebody else speaks now; undefined: nobody. */
    constructor(private readonly onSpeaker: (channel: Channel | undefined) => void = () => {}) {}

    add(channel: Channel): void {
        this.channels.push(channel)
    }

    remove(channel: Channel): void {
        const index = this.channels.indexOf(channel)
        if (index < 0) return
        this.channels.splice(index, 1)
        if (channel.chosen) {
            channel.jitter.trail(this.farewell)
            this.hasFarewell = true
        }
        this.returnOwn(channel)
        channel.free()
        if (this.channels.length === 0) this.encodes.free()
        this.speaker.remove(channel)
    }

    /** One tick: takes a frame from every channel and sends one to each. Returns all that is heard, valid until the next tick. */
    tick(deadlineMs: number, tick: number): Int16Array {
        const channels = this.channels
        if (this.isAsleep()) return silence
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            channel.wasChosen = channel.chosen && !channel.fading
            channel.chosen = false
            channel.fading = false
            channel.pull(deadlineMs)
        }
        this.choose()
        this.addUp()
        for (let i = 0; i < channels.length; i++) this.assign(channels[i]!)
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            const mix = this.mixFor(channel)
            if (mix && !mix.isReadyFor(tick)) this.encode(channel, mix, tick)
            channel.send(mix, tick)
        }
        if (this.speaker.follow(channels, tick)) this.onSpeaker(this.speaker.current)
        return this.heard > 0 ? this.all : silence
    }

    /** Lends an encoder or takes it back, and notes who hears a mix from now on. */
    private assign(channel: Channel): void {
        if (!channel.chosen) this.returnOwn(channel)
        else if (this.othersFor(channel) > 0) channel.own ??= this.encodes.take(channel.codec)
        const mix = this.mixFor(channel)
        if (!mix) return
        mix.expectLoss(channel.lossPercent)
        if (channel.hears !== mix) mix.isJoined = true
    }

    private returnOwn(channel: Channel): void {
        if (channel.own) this.encodes.giveBack(channel.codec, channel.own)
        channel.own = undefined
    }

    /** How many are heard by this channel's far side. */
    private othersFor(channel: Channel): number {
        return this.heard - (channel.chosen ? 1 : 0)
    }

    private mixFor(channel: Channel): EncodedMix | undefined {
        if (this.othersFor(channel) === 0) return undefined
        return channel.chosen ? channel.own : this.encodes.shared(channel.codec)
    }

    private encode(channel: Channel, mix: EncodedMix, tick: number): void {
        const frame = channel.chosen ? sum.without(channel.frame, this.heard === 2) : this.all
        mix.encode(frame, tick, this.heardBefore > 0 ? this.allBefore : undefined)
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
        const before = this.allBefore
        this.allBefore = this.all
        this.all = before
        this.heardBefore = this.heard
        sum.clear()
        this.heard = 0
        const channels = this.channels
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            if (!channel.chosen) {
                // Pushed out by a louder one in the middle of a sound: it is heard for one more frame, fading.
                if (!channel.wasChosen || !channel.active) continue
                fade(channel.frame, 1)
                channel.chosen = true
                channel.fading = true
            } else if (!channel.wasChosen && channel.wasActive) {
                // It spoke already and was not heard: it comes in faded. A fresh word is not touched.
                fade(channel.frame, 0)
            }
            this.take(channel.frame)
        }
        if (this.hasFarewell) this.take(this.farewell)
        this.hasFarewell = false
        if (this.heard === 0) return
        this.all.set(sum.take(this.heard === 1))
    }

    private take(frame: Int16Array): void {
        this.heard++
        sum.add(frame)
    }
}

/** Fades out from 1, or in from 0, over the first 5 ms. */
function fade(frame: Int16Array, from: 0 | 1): void {
    for (let i = 0; i < fadeSamples; i++) {
        const share = fadeOut[i]!
        frame[i] = Math.round(frame[i]! * (from === 1 ? share : 1 - share))
    }
    if (from === 1) frame.fill(0, fadeSamples)
}
