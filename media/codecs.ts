/**
 * The codecs by their names and payload types. Owns nothing; see `codec.ts` for what a codec is.
 */

import type { Codec, CodecName } from "./codec.ts"
import { opus } from "./opus.ts"
import { pcmu } from "./pcmu.ts"

export const codecs: Readonly<Record<CodecName, Codec>> = { pcmu, opus }

export function isCodecName(name: unknown): name is CodecName {
    return name === "pcmu" || name === "opus"
}

export function codecOfPayloadType(payloadType: number): Codec | undefined {
    if (payloadType === pcmu.payloadType) return pcmu
    return payloadType === opus.payloadType ? opus : undefined
}
