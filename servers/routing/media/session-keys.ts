/**
 * What a server derives from a session's media key: the master key of its own streams on links, and those of the other servers
 * that process the session. One key for each sender, so that two never meet under one key stream.
 */

import { createHmac } from "node:crypto"
import { masterBytes } from "../../../media/srtp.ts"
import type { SessionKeys } from "./interface.ts"

/** `key`: base64, as the group server hands it out. */
export function deriveSessionKeys(key: string, self: string, mixers: readonly string[]): SessionKeys {
    const secret = Buffer.from(key, "base64")
    const masterOf = (rs: string) =>
        Uint8Array.from(
            createHmac("sha256", secret).update(`parley link media ${rs}`).digest().subarray(0, masterBytes),
        )
    return {
        own: masterOf(self),
        others: mixers.filter(rs => rs !== self).map(rs => ({ rs, master: masterOf(rs) })),
    }
}
