/**
 * Who is speaking in a session: not who is loudest now, but who has been for 300 ms.
 *
 * Owns the decision. A speaker stays one through their pauses, until another is clearly louder for as long, or nobody has said
 * anything for 3 s. Says so at most every 260 ms. Time is the number of the tick.
 */

import { type Channel, tickMs } from "./channel.ts"

const takeOverTicks = 300 / tickMs
const silenceTicks = 3000 / tickMs
const eventTicks = 260 / tickMs
/** Another is clearly louder: by 3 dB. */
const clearly = 2
/** -60 dBov, smoothed over 200 ms: less is nobody's speech. */
const speechPower = 1000

export class ActiveSpeaker {
    current: Channel | undefined
    private told: Channel | undefined
    private toldTick = -eventTicks
    private candidate: Channel | undefined
    private candidateTicks = 0
    private quietTicks = 0

    /** Looks at the sound of one tick. True when it is to be told that `current` is another now. */
    follow(channels: readonly Channel[], tick: number): boolean {
        let loudest: Channel | undefined
        let most = speechPower
        for (let i = 0; i < channels.length; i++) {
            const channel = channels[i]!
            if (channel.presence <= most) continue
            loudest = channel
            most = channel.presence
        }
        this.quietTicks = loudest ? 0 : this.quietTicks + 1
        if (loudest && !this.yields(loudest)) this.candidateTicks = 0
        else if (loudest) {
            this.candidateTicks = loudest === this.candidate ? this.candidateTicks + 1 : 1
            this.candidate = loudest
            if (this.candidateTicks >= takeOverTicks) this.change(loudest)
        } else if (this.quietTicks >= silenceTicks) this.change(undefined)
        if (this.current === this.told || tick - this.toldTick < eventTicks) return false
        this.told = this.current
        this.toldTick = tick
        return true
    }

    /** The channel is no longer there. */
    remove(channel: Channel): void {
        if (this.current === channel) this.change(undefined)
        else if (this.candidate === channel) this.change(this.current)
    }

    /** Whether the present speaker would have to give way to this one. */
    private yields(loudest: Channel): boolean {
        return loudest !== this.current && loudest.presence > clearly * (this.current?.presence ?? 0)
    }

    private change(to: Channel | undefined): void {
        this.current = to
        this.candidate = undefined
        this.candidateTicks = 0
    }
}
