/**
 * The media keys of sessions, derived from a secret in the group server's state folder: the same after a restart, and nothing to
 * store. They leave for the servers that process a session and for nobody else [claim 4].
 *
 * Owns the derivation. Never logs a key; the core knows who gets one, not what it is.
 */

import { createHmac } from "node:crypto"
import type { ServerSession } from "../../protocol/servers.ts"
import type { Send } from "./core/model.ts"

export class MediaKeys {
    readonly #secret: Uint8Array

    /** `secret`: 32 bytes. */
    constructor(secret: Uint8Array) {
        this.#secret = secret
    }

    /** Base64 of 32 bytes. */
    of(sid: string): string {
        return createHmac("sha256", this.#secret).update(`parley session media ${sid}`).digest("base64")
    }

    /** The message with the session's key, where its receiver is one of those that process the session. */
    addTo(send: Send): Send {
        if (send.verb !== "session" || send.kind !== "rs") return send
        const message = send.message as unknown as ServerSession
        if (!message.mixers?.includes(send.to)) return send
        return { ...send, message: { ...send.message, key: this.of(message.sid) } }
    }
}
