/**
 * `parley policy ...`: the administration policy for neighbours and the limits of the neighbour rule [claims 9, 11]. Changes
 * are made on the version that was read, so that two operators never undo each other's.
 */
import type { GroupClient } from "../../servers/group/client.ts"
import type { NeighbourLimits, NeighbourPolicy } from "../../servers/group/http/schemas.ts"
import { type Outcome, success, usage } from "../outcome.ts"
import type { Flags } from "../settings.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"

/** Somebody else may change the policy between our look and our change. */
const tries = 4

interface LimitFlag {
    limit: keyof NeighbourLimits
    flag: string
    name: string
    about: string
    /** What people type times this is what is kept. */
    scale: number
    max: number
    unit: string
}

const limitFlags: LimitFlag[] = [
    { limit: "degree", flag: "degree", name: "number", about: "neighbours wanted", scale: 1, max: 32, unit: "" },
    { limit: "degreeMax", flag: "degreeMax", name: "number", about: "neighbours at most", scale: 1, max: 64, unit: "" },
    { limit: "maxDelayMs", flag: "maxDelay", name: "ms", about: "one way", scale: 1, max: 10_000, unit: " ms" },
    {
        limit: "minBandwidthKbps",
        flag: "minBandwidth",
        name: "kbps",
        about: "of the path to a neighbour",
        scale: 1,
        max: 4_294_967_295,
        unit: " kbit/s",
    },
    {
        limit: "maxLossPermille",
        flag: "maxLoss",
        name: "percent",
        about: "of probes",
        scale: 10,
        max: 1000,
        unit: " %",
    },
    {
        limit: "maxJitterMs",
        flag: "maxJitter",
        name: "ms",
        about: "95th percentile",
        scale: 1,
        max: 10_000,
        unit: " ms",
    },
    {
        limit: "maxSharePercent",
        flag: "maxShare",
        name: "percent",
        about: "of a path that is common with the path to a neighbour",
        scale: 1,
        max: 100,
        unit: " %",
    },
]

export function addPolicyCommands(shell: Shell): void {
    const policy = shell.noun("policy", "which routing servers may be neighbours, and the limits of the rule")
    shell.verb(policy, { name: "show", about: "the policy and the limits in force", run: show })
    shell.verb(policy, {
        name: "set",
        about: "change limits of the neighbour rule; what is not said stays",
        options: limitFlags.map(({ flag, name, about }) => [`--${dashed(flag)} <${name}>`, about]),
        examples: ["parley policy set --degree 8 --max-delay 60 --max-loss 1.5"],
        run: set,
    })
    shell.verb(policy, {
        name: "deny <tag> <other>",
        about: "servers with one tag and the other must not be neighbours; a tag may be denied to itself",
        examples: ["parley policy deny tenant-a tenant-b"],
        run: call => changePairs(call, true),
    })
    shell.verb(policy, {
        name: "allow <tag> <other>",
        about: "takes a denial back",
        run: call => changePairs(call, false),
    })
}

async function show({ settings }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    return answer(fromGroup(await group.value.getNeighbourPolicy()))
}

async function set({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const limits = limitsIn(flags)
    if (!limits.ok) return limits
    if (Object.keys(limits.value).length === 0)
        return usage("nothing to change was said", "parley policy set --degree 8")
    const group = groupOf(settings)
    if (!group.ok) return group
    return answer(await change(group.value, policy => ({ ...policy, limits: { ...policy.limits, ...limits.value } })))
}

async function changePairs({ settings, words }: Call, deny: boolean): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const [a, b] = [...words].sort()
    return answer(
        await change(group.value, policy => {
            const others = policy.deny.filter(([one, other]) => one !== a || other !== b)
            return { ...policy, deny: deny ? [...others, [a, b]] : others }
        }),
    )
}

async function change(
    group: GroupClient,
    edit: (policy: NeighbourPolicy) => NeighbourPolicy,
): Promise<Outcome<NeighbourPolicy>> {
    for (let count = 1; ; count++) {
        const present = fromGroup(await group.getNeighbourPolicy())
        if (!present.ok) return present
        const changed = await group.putNeighbourPolicy(edit(present.value))
        if (changed.ok || changed.problem.code !== "unavailable" || count === tries) return fromGroup(changed)
    }
}

function limitsIn(flags: Flags): Outcome<Partial<NeighbourLimits>> {
    const limits: Partial<NeighbourLimits> = {}
    for (const { limit, flag, scale, max } of limitFlags) {
        const text = flags[flag] as string | undefined
        if (text === undefined) continue
        const value = Math.round(Number(text) * scale * 1e6) / 1e6
        if (text.trim() === "" || !Number.isInteger(value) || value < 0 || value > max)
            return usage(`--${dashed(flag)}: a number from 0 to ${max / scale}, not ${text}`)
        limits[limit] = value
    }
    return success(limits)
}

function answer(policy: Outcome<NeighbourPolicy>): Outcome<Answer> {
    if (!policy.ok) return policy
    const { version, deny, limits } = policy.value
    const lines = [`version        ${version}`]
    for (const { limit, flag, scale, unit } of limitFlags)
        lines.push(`${dashed(flag).padEnd(14)} ${limits[limit] / scale}${unit}`)
    lines.push("", ...(deny.length > 0 ? deny.map(([a, b]) => `denied  ${a} - ${b}`) : ["nothing is denied"]))
    return success({ value: policy.value, text: lines.join("\n") })
}

function dashed(flag: string): string {
    return flag.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}
