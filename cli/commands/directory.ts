/**
 * `parley endpoint`, `server` and `group`: who is known to the group server. A secret is printed once, when it is made.
 */
import type { ChangeRoutingServer } from "../../servers/group/http/schemas.ts"
import { failure, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Flags } from "../settings.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"

const forgettable = ["tags", "risk", "area", "position"]

export function addDirectoryCommands(shell: Shell): void {
    const endpoint = shell.noun("endpoint", "endpoints that the group server knows")
    shell.verb(endpoint, { name: "list", about: "all endpoints with their present state", run: listEndpoints })
    shell.verb(endpoint, {
        name: "show <id>",
        about: "one endpoint, and how lives of it ended that ended by themselves",
        run: showEndpoint,
    })
    shell.verb(endpoint, {
        name: "enrol <id>",
        about: "make an endpoint known; prints its secret, this once",
        options: [["--name <text>", "what people call it (default: its id)"]],
        examples: ['parley endpoint enrol room-7 --name "Room 7"'],
        run: enrolEndpoint,
    })
    shell.verb(endpoint, {
        name: "remove <id>",
        about: "its secret is void and what it booked is cancelled",
        run: removeEndpoint,
    })
    shell.verb(endpoint, {
        name: "set <id>",
        about: "give an endpoint another name, or say where it stands, for better candidates",
        options: [
            ["--name <text>", "what people call it"],
            ["--lat <degrees>", "north of the equator; with --lon"],
            ["--lon <degrees>", "east of Greenwich"],
            ["--forget-position", "where it stands is not known any more"],
        ],
        examples: ["parley endpoint set room-7 --lat 52.52 --lon 13.405"],
        run: setEndpoint,
    })
    const server = shell.noun("server", "routing servers that the group server knows")
    shell.verb(server, { name: "list", about: "all routing servers, their load and their links", run: listServers })
    shell.verb(server, {
        name: "enrol <id>",
        about: "make a routing server known; prints its secret, this once",
        run: enrolServer,
    })
    shell.verb(server, {
        name: "remove <id>",
        about: "its secret is void and no endpoint is sent to it any more",
        run: removeServer,
    })
    shell.verb(server, {
        name: "set <id>",
        about: "say where a routing server stands; wins over what it announces itself",
        options: [
            ["--tag <words...>", "words that the neighbour policy speaks of, all of them"],
            ["--risk <groups...>", "what it fails together with (duct, building, carrier), all of them"],
            ["--area <name>", "its area"],
            ["--lat <degrees>", "north of the equator; with --lon"],
            ["--lon <degrees>", "east of Greenwich"],
            ["--forget <fields...>", `what it announces counts again: ${forgettable.join(", ")}`],
        ],
        examples: [
            "parley server set rs-a --tag tenant-a --risk duct-7 --risk carrier-2 --lat 52.52 --lon 13.405",
            "parley server set rs-a --forget risk position",
        ],
        run: setServer,
    })
    const group = shell.noun("group", "groups of rooms")
    shell.verb(group, { name: "list", about: "all groups and their members", run: listGroups })
    shell.verb(group, {
        name: "create <id> [members...]",
        about: "create a group of endpoints",
        options: [["--name <text>", "what people call it (default: its id)"]],
        examples: ['parley group create east board-a board-b --name "East wing"'],
        run: createGroup,
    })
    shell.verb(group, { name: "remove <id>", about: "what is booked with it stays booked", run: removeGroup })
}

async function listEndpoints({ settings }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.all(cursor => group.value.listEndpoints({ cursor })))
    if (!found.ok) return found
    const rows = found.value.map(one => [
        one.id,
        one.name,
        one.online ? "online" : "offline",
        one.server ?? "",
        one.session ?? "",
        one.muted ? "muted" : "",
        one.board,
    ])
    const head = ["ENDPOINT", "NAME", "STATE", "SERVER", "SESSION", "MICROPHONE", "BOARD"]
    return success({ value: found.value, text: rows.length > 0 ? table(head, rows) : "no endpoints" })
}

async function showEndpoint({ settings, words }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.getEndpoint(words[0]))
    if (!found.ok) return found
    const { id, name, online, server, session, board, firmware, boot, crashes } = found.value
    const place = server ? `, attached to ${server}` : ""
    const text = [
        `${id} (${name}): ${online ? "online" : "offline"}${place}${session ? `, in session ${session}` : ""}`,
        board ? `board ${board}, firmware ${firmware}, boot ${boot}` : "not seen yet",
        crashes.length > 0 ? "" : "no crash is known",
        ...crashes.flatMap(crash => [
            `${new Date(crash.atMs).toISOString()}  boot ${crash.boot}: ${crash.kind} after ${crash.seconds} s, firmware ${crash.firmware}`,
            ...(crash.text ? [`    ${crash.text}`] : []),
            ...(crash.log ? [`    log: ${crash.log}`] : []),
        ]),
    ]
    return success({ value: found.value, text: text.join("\n") })
}

async function enrolEndpoint({ settings, words, flags }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const enrolled = fromGroup(
        await group.value.enrolEndpoint(words[0], (flags.name as string | undefined) ?? words[0]),
    )
    if (!enrolled.ok) return enrolled
    const { id, name, secret } = enrolled.value
    return success({
        value: { id, name, secret },
        text: `${id} (${name}) is enrolled\nsecret: ${secret}\nIt is not shown again.`,
    })
}

async function removeEndpoint({ settings, words, confirm }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const known = fromGroup(await group.value.getEndpoint(words[0]))
    if (!known.ok) return known
    if (!(await confirm(`Remove ${words[0]} (${known.value.name}), void its secret and cancel what it booked?`)))
        return notRemoved("endpoint", words[0])
    const removed = fromGroup(await group.value.deleteEndpoint(words[0]))
    return removed.ok ? success({ value: { removed: words[0] }, text: `removed ${words[0]}` }) : removed
}

async function listServers({ settings }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.all(cursor => group.value.listRoutingServers({ cursor })))
    if (!found.ok) return found
    const rows = found.value.map(one => [
        one.id,
        one.online ? "online" : "offline",
        one.ip ?? "",
        one.dspFree === undefined ? String(one.dspUnits) : `${one.dspFree} of ${one.dspUnits}`,
        one.endpoints === undefined ? "" : String(one.endpoints),
        [one.area ?? "", ...(one.tags ?? [])].filter(word => word !== "").join(", "),
        one.links.map(link => `${link.server} ${link.up ? `${link.delayMs} ms` : "down"}`).join(", "),
    ])
    const head = ["SERVER", "STATE", "ADDRESS", "DSP UNITS FREE", "ENDPOINTS", "AREA, TAGS", "LINKS"]
    return success({ value: found.value, text: rows.length > 0 ? table(head, rows) : "no routing servers" })
}

async function enrolServer({ settings, words }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const enrolled = fromGroup(await group.value.enrolRoutingServer(words[0]))
    if (!enrolled.ok) return enrolled
    const { id, secret } = enrolled.value
    const next = `Write it into a file and start: parley serve routing --id ${id} --secret-file FILE ...`
    return success({
        value: { id, secret },
        text: `${id} is enrolled\nsecret: ${secret}\nIt is not shown again. ${next}`,
    })
}

async function removeServer({ settings, words, confirm }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const servers = fromGroup(await group.value.all(cursor => group.value.listRoutingServers({ cursor })))
    if (!servers.ok) return servers
    const attached = servers.value.find(one => one.id === words[0])?.endpoints ?? 0
    if (!(await confirm(`Remove ${words[0]} (${attached} endpoints are attached to it) and void its secret?`)))
        return notRemoved("server", words[0])
    const removed = fromGroup(await group.value.deleteRoutingServer(words[0]))
    return removed.ok ? success({ value: { removed: words[0] }, text: `removed ${words[0]}` }) : removed
}

async function removeGroup({ settings, words, confirm }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    if (!(await confirm(`Remove the group ${words[0]}?`))) return notRemoved("group", words[0])
    const removed = fromGroup(await group.value.deleteGroup(words[0]))
    return removed.ok ? success({ value: { removed: words[0] }, text: `removed ${words[0]}` }) : removed
}

function notRemoved(noun: string, id: string) {
    return failure("failed", "not-confirmed", `${id} was not removed`, {
        who: "you",
        next: `parley ${noun} remove ${id} --yes`,
    })
}

async function setEndpoint({ settings, words, flags }: Call): Promise<Outcome<Answer>> {
    const position = flags.forgetPosition === true ? success({ lat: null, lon: null }) : positionIn(flags)
    if (!position.ok) return position
    const name = flags.name as string | undefined
    const change = { ...(name === undefined ? {} : { name }), ...position.value }
    if (Object.keys(change).length === 0)
        return usage("nothing to change was said", `parley endpoint set ${words[0]} --name TEXT`)
    const group = groupOf(settings)
    if (!group.ok) return group
    const changed = fromGroup(await group.value.changeEndpoint(words[0], change))
    if (!changed.ok) return changed
    const { id, lat, lon } = changed.value
    const where = lat === undefined ? "its position is not known" : `at ${lat}, ${lon}`
    return success({ value: changed.value, text: `${id} (${changed.value.name}), ${where}` })
}

async function setServer({ settings, words, flags }: Call): Promise<Outcome<Answer>> {
    const position = positionIn(flags)
    if (!position.ok) return position
    const change: ChangeRoutingServer = { ...position.value }
    for (const field of (flags.forget ?? []) as string[]) {
        if (!forgettable.includes(field)) return usage(`--forget: one of ${forgettable.join(", ")}, not ${field}`)
        if (field === "tags") change.tags = null
        if (field === "risk") change.risk = null
        if (field === "area") change.area = null
        if (field === "position") Object.assign(change, { lat: null, lon: null })
    }
    if (flags.tag !== undefined) change.tags = flags.tag as string[]
    if (flags.risk !== undefined) change.risk = flags.risk as string[]
    if (flags.area !== undefined) change.area = flags.area as string
    if (Object.keys(change).length === 0)
        return usage("nothing to change was said", `parley server set ${words[0]} --tag WORD`)
    const group = groupOf(settings)
    if (!group.ok) return group
    const changed = fromGroup(await group.value.changeRoutingServer(words[0], change))
    if (!changed.ok) return changed
    const { id, tags = [], risk = [], area = "-", lat, lon } = changed.value
    const lines = [
        `server    ${id}`,
        `tags      ${tags.join(", ") || "-"}`,
        `risk      ${risk.join(", ") || "-"}`,
        `area      ${area}`,
        `position  ${lat === undefined ? "-" : `${lat}, ${lon}`}`,
    ]
    return success({ value: changed.value, text: lines.join("\n") })
}

/** Of --lat and --lon; nothing when neither is given. */
function positionIn(flags: Flags): Outcome<{ lat?: number; lon?: number }> {
    const { lat, lon } = flags as { lat?: string; lon?: string }
    if (lat === undefined && lon === undefined) return success({})
    if (lat === undefined || lon === undefined) return usage("--lat and --lon: both are needed")
    const [north, east] = [Number(lat), Number(lon)]
    if (lat.trim() === "" || !(Math.abs(north) <= 90)) return usage(`--lat: degrees from -90 to 90, not ${lat}`)
    if (lon.trim() === "" || !(Math.abs(east) <= 180)) return usage(`--lon: degrees from -180 to 180, not ${lon}`)
    return success({ lat: north, lon: east })
}

async function listGroups({ settings }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.all(cursor => group.value.listGroups({ cursor })))
    if (!found.ok) return found
    const rows = found.value.map(one => [one.id, one.name, one.members.join(", ")])
    return success({
        value: found.value,
        text: rows.length > 0 ? table(["GROUP", "NAME", "MEMBERS"], rows) : "no groups",
    })
}

async function createGroup({ settings, words, flags }: Call): Promise<Outcome<Answer>> {
    const members = words.slice(1)
    if (members.length === 0) return usage("a group needs members", `parley group create ${words[0]} board-a board-b`)
    const group = groupOf(settings)
    if (!group.ok) return group
    const name = (flags.name as string | undefined) ?? words[0]
    const created = fromGroup(await group.value.createGroup(words[0], name, members))
    return created.ok
        ? success({ value: created.value, text: `created ${created.value.id} with ${members.join(", ")}` })
        : created
}
