/**
 * What the roles hear, taken where it comes in, for the whole program at one place. Owns nothing else.
 *
 * Not from the roles' emitters: those keep only the last of several events that come at once, and cost 300 bytes of heap
 * for each subscription. A handler for each role would be 84 bytes and a closure.
 */

import * as ds from "@devicescript/core"
import { guard } from "./ending"

/** `packet` is undefined when the role may have been bound or unbound, and else what it reports. Must not wait. */
export type Listener = (role: ds.Role, packet: ds.Packet) => void

let listener: Listener

/** The last one who listens hears everything. */
export function listen(to: Listener): void {
    listener = to
}

ds.Role.prototype._onPacket = async function (this: ds.Role, packet: ds.Packet) {
    if (!listener) return
    if (!packet || packet.serviceCommand === 0) await guard(listener, this, undefined)
    else if (packet.spec && packet.isReport) await guard(listener, this, packet)
}
