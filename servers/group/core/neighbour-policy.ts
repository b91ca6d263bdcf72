/**
 * The administration policy for neighbours [claim 9] and the limits of the neighbour rule: what may be put, and the message
 * that brings it to routing servers. Never applies it: that is the routing servers' own rule.
 */

import { type NeighbourLimits, neighbourLimitsShape, serverLimits } from "../../../protocol/servers.ts"
import { problemWith } from "../../../protocol/shape.ts"
import type { Answer, Context, Send, State } from "./model.ts"
import { done, refuse } from "./outcome.ts"
import { pick } from "./pick.ts"
import { placeOf, problemWithTag } from "./place.ts"

interface Wanted {
    deny: [string, string][]
    limits: NeighbourLimits
    version?: number
}

export function putPolicy(state: State, wanted: Wanted, context: Context): Answer {
    const { neighbourPolicy: present } = state.durable
    if (wanted.version !== undefined && wanted.version !== present.version)
        return refuse("unavailable", `the policy has changed: it is version ${present.version} now`, "you")
    const pairs = new Map<string, [string, string]>()
    for (const [a, b] of wanted.deny) {
        const problem = problemWithTag(a) || problemWithTag(b)
        if (problem) return refuse("malformed", problem, "you")
        const pair: [string, string] = a < b ? [a, b] : [b, a]
        pairs.set(pair.join(" "), pair)
    }
    if (pairs.size > serverLimits.denyPairs)
        return refuse("too-many", `${pairs.size} pairs, at most ${serverLimits.denyPairs}`, "you")
    const problem = problemWith(neighbourLimitsShape, wanted.limits, "limits")
    if (problem) return refuse("malformed", problem, "you")
    const limits = pick(neighbourLimitsShape, wanted.limits)
    if (limits.degreeMax < limits.degree)
        return refuse("malformed", "limits.degreeMax: must not be less than degree", "you")

    const deny = [...pairs.keys()].sort().map(key => pairs.get(key)!)
    const same =
        JSON.stringify([deny, limits]) === JSON.stringify([present.deny, pick(neighbourLimitsShape, present.limits)])
    if (same) return done({ version: present.version })
    state.durable.neighbourPolicy = { version: present.version + 1, deny, limits }
    context.writes.push({ table: "neighbourPolicy", put: state.durable.neighbourPolicy })
    state.touched.policy = true
    return done({ version: present.version + 1 })
}

/** To one server, with the place that it has by our account. */
export function policyMessage(state: State, server: string, version: number): Send {
    const { deny, limits } = state.durable.neighbourPolicy
    const row = state.durable.servers.get(server)
    const message = { n: version, deny, limits, own: row ? placeOf(row) : {} }
    return { kind: "rs", to: server, verb: "policy", message, replaces: "policy" }
}
