/**
 * `parley leg ...`: legs of a session at the routing servers, and letting standard RTP senders and receivers in.
 */
import type { Plain, PlainGiven } from "../../servers/routing/control/schemas.ts"
import { type Outcome, success, usage } from "../outcome.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { controlOf, fromControl } from "../system/control.ts"
import { fromGroup, groupOf } from "../system/group.ts"
import { answered, gatherLegs, legsOf } from "../system/reservations.ts"
import { silentLines, silentValue } from "./reservation.ts"
import { legsTable } from "./reservation-text.ts"

const codecNames = ["pcmu", "opus"] as const

export function addLegCommands(shell: Shell): void {
    const leg = shell.noun("leg", "legs of a session; standard RTP senders and receivers as plain legs")
    const server: [string, string] = ["--server <server>", "the routing server (default: the session's source)"]
    shell.verb(leg, { name: "list <session>", about: "its legs at all routing servers, with their quality", run: list })
    shell.verb(leg, {
        name: "add <session> <name>",
        about: "let a standard RTP sender or receiver in, without SRTP; prints where to send to",
        options: [
            ["--from <address>", "where its packets come from: IP:PORT, or IP for the port of its first packet"],
            ["--to <address>", "IP:PORT that it hears at (default: where its packets come from)"],
            ["--codec <codec>", `${codecNames.join(" or ")} (default pcmu)`],
            ["--payload-type <number>", "of its packets, 0 to 127 (default: 0 for pcmu, 111 for opus)"],
            server,
        ],
        examples: ["parley leg add SESSION phone --from 192.0.2.7", "parley leg add SESSION tv --from 192.0.2.7:5004"],
        run: add,
    })
    shell.verb(leg, {
        name: "remove <session> <name>",
        about: "take a plain leg out",
        options: [server],
        run: remove,
    })
}

async function list({ settings, words: [sid] }: Call): Promise<Outcome<Answer>> {
    const gathered = answered(await gatherLegs(settings, sid))
    if (!gathered.ok) return gathered
    const { servers, silent } = gathered.value
    const legs = legsOf(servers)
    const parts = [legs.length > 0 ? legsTable(servers) : "no legs", ...silentLines(silent)]
    return success({ value: { legs, silent: silentValue(silent) }, text: parts.join("\n\n") })
}

async function add({ settings, words: [sid, name], flags }: Call): Promise<Outcome<Answer>> {
    const { codec = "pcmu", from: fromText, to: toText, payloadType: typeText } = flags as Record<string, string>
    const codecName = codecNames.find(one => one === codec)
    if (!codecName) return usage(`--codec: ${codecNames.join(" or ")} is needed, not "${codec}"`)
    if (fromText === undefined) return usage("--from is needed", `parley leg add ${sid} ${name} --from 192.0.2.7`)
    const from = addressOf(fromText)
    const to = toText === undefined ? undefined : addressOf(toText)
    if (!from) return usage(`--from: IP or IP:PORT is needed, not "${fromText}"`)
    if (toText !== undefined && !to?.port) return usage(`--to: IP:PORT is needed, not "${toText}"`)
    const payloadType = typeText === undefined ? undefined : Number(typeText)
    if (payloadType !== undefined && !(Number.isInteger(payloadType) && payloadType >= 0 && payloadType <= 127))
        return usage(`--payload-type: a number from 0 to 127 is needed, not "${typeText}"`)
    const server = await serverOf({ settings, flags }, sid)
    if (!server.ok) return server
    const client = controlOf(settings, server.value)
    if (!client.ok) return client
    const wish: PlainGiven = {
        ...{ codec: codecName, from },
        ...(to?.port !== undefined && { to: { ip: to.ip, port: to.port } }),
        ...(payloadType !== undefined && { payloadType }),
    }
    const added = fromControl(server.value, await client.value.putPlainLeg(sid, name, wish))
    return added.ok ? success({ value: added.value, text: describe(added.value) }) : added
}

function describe({ name, server, ip, port, codec, payloadType }: Plain): string {
    return `${name} is in at ${server}: send ${codec} (payload type ${payloadType}) as RTP to ${ip}:${port}`
}

async function remove({ settings, words: [sid, name], flags }: Call): Promise<Outcome<Answer>> {
    const server = await serverOf({ settings, flags }, sid)
    if (!server.ok) return server
    const client = controlOf(settings, server.value)
    if (!client.ok) return client
    const removed = fromControl(server.value, await client.value.deletePlainLeg(sid, name))
    return removed.ok ? success({ value: { removed: name }, text: `${name} is out` }) : removed
}

/** The one that was named, or the session's source. */
async function serverOf({ settings, flags }: Pick<Call, "settings" | "flags">, sid: string): Promise<Outcome<string>> {
    if (typeof flags.server === "string") return success(flags.server)
    const group = groupOf(settings)
    if (!group.ok) return group
    const session = fromGroup(await group.value.getSession(sid))
    if (!session.ok) return session
    const { source, state } = session.value
    if (source !== undefined) return success(source)
    return usage(`session ${sid} is ${state} and has no source yet`, `parley session show ${sid}`)
}

function addressOf(text: string): { ip: string; port?: number } | undefined {
    const match = /^(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/.exec(text)
    if (!match) return undefined
    const [, ip, port] = match
    if (port === undefined) return { ip }
    return Number(port) >= 1 && Number(port) <= 65535 ? { ip, port: Number(port) } : undefined
}
