/**
 * Link-state messages cut so that each fits a frame of the control channel. Pure.
 */

import { linkLimits } from "../../../protocol/link.ts"
import type { Advertisement } from "../route/advertisement.ts"
import type { LinkStateMessage } from "../route/link-state.ts"

/** Upper bounds of the CBOR: every identifier and number at its longest. */
const advertisementBytes = 96
const linkBytes = 112
/** What the rest of the message needs. */
const spareBytes = 256

/** The same content in control messages, each within the limits of `protocol/link.ts`. */
export function inFrames(message: LinkStateMessage): { k: string; list: unknown[] }[] {
    const k = message.kind
    const frames: { k: string; list: unknown[] }[] = []
    let list: unknown[] = []
    let bytes = 0
    for (const item of message.list) {
        const size = message.kind === "advertisements" ? sizeOf(item as Advertisement) : advertisementBytes
        const isFull = list.length >= linkLimits.advertisements
        if (list.length > 0 && (isFull || bytes + size > linkLimits.controlFrameBytes - spareBytes)) {
            frames.push({ k, list })
            list = []
            bytes = 0
        }
        list.push(item)
        bytes += size
    }
    if (list.length > 0) frames.push({ k, list })
    return frames
}

function sizeOf(advertisement: Advertisement): number {
    return advertisementBytes + linkBytes * advertisement.links.length
}
