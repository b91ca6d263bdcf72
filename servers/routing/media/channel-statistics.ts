/**
 * A channel's figures, as legs and links tell them.
 */

import type { Channel } from "./channel.ts"
import type { LinkStatistics } from "./interface.ts"

export function channelStatistics(session: string, channel: Channel, nowMs: number): Omit<LinkStatistics, "peer"> {
    const { received, lost, late, duplicates, concealedSamples, repairedSamples, jitterMs, delayMs } =
        channel.jitter.statistics()
    return {
        session,
        codec: channel.codec.name,
        sent: channel.sent,
        received,
        lost,
        late,
        duplicates,
        concealed: Math.ceil(concealedSamples / channel.frame.length),
        repaired: Math.ceil(repairedSamples / channel.frame.length),
        jitterMs,
        delayMs,
        levelDb: channel.levelDb,
        silentMs: channel.lastHeardMs < 0 ? -1 : Math.max(0, nowMs - channel.lastHeardMs),
        muted: channel.muted,
    }
}
