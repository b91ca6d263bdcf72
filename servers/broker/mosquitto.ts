/**
 * The rights and credentials written for mosquitto, for those who run that broker instead of the embedded one.
 *
 * Owns the text of `mosquitto.passwd`, `mosquitto.acl` and of a listener's configuration. Never decides a right: every
 * line comes from `protocol/rights.ts`. After the files have changed, mosquitto reads them again on SIGHUP.
 *
 * Where mosquitto differs from the embedded broker (mosquitto 2.0):
 * - a refused publish is acknowledged and dropped (with MQTT 3.1.1 there is no other answer but closing; the embedded
 *   broker closes);
 * - a subscription to a foreign topic is granted, but nothing is ever delivered on it;
 * - `retain` cannot be restricted to the states, and the size limit is one for all topics (`limits.brokerMessageBytes`),
 *   so that `limits.brokerApplianceBytes` is kept by the senders and by the appliance alone;
 * - a wrong secret is answered by CONNACK 5 (the embedded broker: 4).
 */

import { limits } from "../../protocol/limits.ts"
import { type RightsKind, rightsOf } from "../../protocol/rights.ts"
import { deliveryLimits } from "./limits.ts"

const serverDelivery = deliveryLimits("group")

interface Entry {
    id: string
    kind: RightsKind
    hash: string
}

export function mosquittoPasswords(entries: Entry[]): string {
    return entries.map(entry => `${entry.id}:${entry.hash}\n`).join("")
}

/**
 * Endpoints by patterns, so that enrolling one changes no rule; routing servers and the group server each by name, because
 * a pattern for `rs/%u` would let an endpoint pose as a routing server of its own name. (The patterns hold for the servers
 * as well: harmless, as ids are unique across kinds and nobody else is the endpoint `rs-a`.)
 */
export function mosquittoAcl(entries: Entry[]): string {
    const lines = ["# Written by Parley from protocol/rights.ts: changes are overwritten."]
    for (const entry of entries) {
        if (entry.kind === "ep") continue
        const rights = rightsOf(entry.kind, entry.id)
        lines.push("", `user ${entry.id}`)
        for (const filter of rights.write) lines.push(`topic write ${filter}`)
        for (const filter of rights.read) lines.push(`topic read ${filter}`)
    }
    const pattern = rightsOf("ep", "%u")
    lines.push("", "# Every endpoint, by its user name.")
    for (const filter of pattern.write) lines.push(`pattern write ${filter}`)
    for (const filter of pattern.read) lines.push(`pattern read ${filter}`)
    return `${lines.join("\n")}\n`
}

export interface MosquittoListener {
    host: string
    port: number
    passwordFile: string
    aclFile: string
    /** Account that mosquitto runs as when started by root; it must be able to read both files. */
    user?: string
}

/** A whole configuration: one listener with the limits of the embedded broker, as far as mosquitto has them. */
export function mosquittoConfiguration(listener: MosquittoListener): string {
    const lines = [
        "# Written by Parley.",
        `listener ${listener.port} ${listener.host}`,
        "allow_anonymous false",
        `password_file ${listener.passwordFile}`,
        `acl_file ${listener.aclFile}`,
        // The client id is the user name, whatever the client says: one connection per id, and nobody takes over another's.
        "use_username_as_clientid true",
        // A larger packet closes the connection.
        `max_packet_size ${limits.brokerMessageBytes + limits.topicBytes + 16}`,
        `max_inflight_messages ${limits.unacknowledged}`,
        // What waits for one client. A server hears many endpoints at once, as after a restart; mosquitto would drop the rest.
        `max_queued_messages ${serverDelivery.waitingMessages}`,
        `max_queued_bytes ${serverDelivery.waitingBytes}`,
        "max_qos 1",
        "max_keepalive 60",
        // Nagle's algorithm holds small messages back by 40 ms.
        "set_tcp_nodelay true",
        "persistence false",
    ]
    if (listener.user) lines.push(`user ${listener.user}`)
    return `${lines.join("\n")}\n`
}
