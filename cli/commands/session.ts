/**
 * `parley session ...`: booking, looking at and cancelling sessions through the group server, and asking whether one fits.
 */

import { limits } from "../../protocol/limits.ts"
import { recordingFormats, sessionKbps } from "../../protocol/servers.ts"
import type { GroupClient } from "../../servers/group/client.ts"
import type { Session, SessionInFull } from "../../servers/group/http/schemas.ts"
import type { Can } from "../../servers/routing/control/schemas.ts"
import { exitCodes, failure, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Flags } from "../settings.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"
import { askSource, type Gathered, gatherLegs, gatherReservations, legsOf } from "../system/reservations.ts"
import { silentLines, silentValue } from "./reservation.ts"
import {
    canText,
    combine,
    heldTable,
    type LinkDelay,
    legsTable,
    releaseKey,
    reservationText,
    timeText,
} from "./reservation-text.ts"

const states = ["scheduled", "opening", "open", "ended", "live"] as const
const defaultMinutes = 30
const mostKbps = 10_000_000

export function addSessionCommands(shell: Shell): void {
    const session = shell.noun("session", "book, list, show and cancel sessions")
    shell.verb(session, {
        name: "list",
        about: "sessions by start",
        options: [
            ["--with-state <state>", `only this state: ${states.join(", ")} (all but ended)`],
            ["--endpoint <id>", "only sessions of this endpoint"],
        ],
        run: list,
    })
    shell.verb(session, {
        name: "show <session>",
        about: "one session: its members, its source, its tree, and what routing servers hold for it",
        run: show,
    })
    shell.verb(session, {
        name: "book",
        about: "book a session of an endpoint with a group or a room",
        options: [
            ["--by <endpoint>", "who books"],
            ["--with <id>", "the group or endpoint to call"],
            ["--start <time>", `ISO 8601 such as ${exampleStart()}, or now (default)`],
            ["--minutes <number>", `how long, from ${limits.sessionMinutesMin} (default ${defaultMinutes})`],
            ["--title <text>", "what it is about"],
        ],
        examples: [
            "parley session book --by board-a --with all-rooms",
            `parley session book --by board-a --with board-b --start ${exampleStart()}`,
        ],
        run: book,
    })
    shell.verb(session, {
        name: "can",
        about: `would a session fit: exit code 0 if it does, ${exitCodes.doesNotFit} if not, with what is short and where`,
        options: [
            ["--members <ids>", "endpoints and groups, with commas between them"],
            ["--bandwidth <kbps>", `of each direction of each link (default ${sessionKbps})`],
            ["--start <time>", `ISO 8601 such as ${exampleStart()}, or now (default)`],
            ["--minutes <number>", `how long, from ${limits.sessionMinutesMin} (default ${defaultMinutes})`],
        ],
        examples: [
            "parley session can --members all-rooms",
            "parley session can --members board-a,board-b --bandwidth 2000",
        ],
        run: can,
    })
    shell.verb(session, {
        name: "record <session> <on>",
        about: "record what is said, at the session's source, into a file there; everybody in it sees that (on or off)",
        options: [["--format <format>", `${recordingFormats.join(" or ")}: PCM, or Opus (default wav)`]],
        examples: ["parley session record SESSION on --format ogg", "parley session record SESSION off"],
        run: record,
    })
    shell.verb(session, { name: "cancel <session>", about: "end a session for all", run: cancel })
}

async function list({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const state = flags.withState as (typeof states)[number] | undefined
    if (state !== undefined && !states.includes(state)) return usage(`--with-state: one of ${states.join(", ")}`)
    const group = groupOf(settings)
    if (!group.ok) return group
    const endpoint = flags.endpoint as string | undefined
    const sessions = fromGroup(await group.value.all(cursor => group.value.listSessions({ state, endpoint, cursor })))
    if (!sessions.ok) return sessions
    const rows = sessions.value.map(one => [
        one.id,
        one.state,
        timeText(one.start),
        `${Math.round((one.end - one.start) / 60)} min`,
        one.by,
        one.with,
        String(one.members.filter(member => member.status === "joined").length),
        one.title,
    ])
    const head = ["SESSION", "STATE", "START", "LENGTH", "BY", "WITH", "IN IT", "TITLE"]
    return success({ value: sessions.value, text: rows.length > 0 ? table(head, rows) : "no sessions" })
}

async function show({ settings, words }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.getSession(words[0]))
    if (!found.ok) return found
    const session = found.value
    // The routing servers of a group server elsewhere are not ours to ask.
    const asked = settings.groupUrl ? undefined : await gatherReservations(settings, { sid: session.id })
    const gathered: Gathered = asked?.ok ? asked.value : { servers: [], silent: [] }
    const held = gathered.servers.filter(one => one.reservations.length > 0)
    // What is held says already who is silent.
    const legs = asked?.ok ? await gatherLegs(settings, session.id) : undefined
    const legServers = legs?.ok ? legs.value.servers : []
    const value = {
        ...session,
        legs: legsOf(legServers),
        held: held.flatMap(({ server, reservations }) => reservations.map(one => ({ server, ...one }))),
        silent: silentValue(gathered.silent),
    }
    const parts = [describe(session)]
    if (session.reservation) parts.push(reservationPart(session, await delaysOf(group.value)))
    const isGoingOn = session.state === "opening" || session.state === "open"
    if (held.length > 0) parts.push(heldTable(held, false))
    else if (asked?.ok && isGoingOn) parts.push("no routing server holds anything for it")
    if (value.legs.length > 0) parts.push(legsTable(legServers))
    if (asked && !asked.ok) parts.push(`routing servers were not asked: ${asked.what}`)
    else if (!asked && isGoingOn) parts.push("routing servers were not asked: they run elsewhere (--group)")
    // Of a session that is not going on nothing should be held: silence is no news then.
    if (isGoingOn) parts.push(...silentLines(gathered.silent))
    return success({ value, text: parts.join("\n\n") })
}

function reservationPart(session: SessionInFull, delay: LinkDelay): string {
    const members = new Map<string, number>()
    for (const { server, status } of session.members)
        if (server !== undefined && status !== "declined") members.set(server, (members.get(server) ?? 0) + 1)
    return reservationText(session.source ?? "", session.reservation!, members, delay)
}

/** Of links as the group server was told; none are known to somebody who may not see routing servers. */
async function delaysOf(group: GroupClient): Promise<LinkDelay> {
    const servers = await group.all(cursor => group.listRoutingServers(cursor === undefined ? {} : { cursor }))
    const delays = new Map<string, number>()
    if (servers.ok)
        for (const { id, links } of servers.value)
            for (const { server, up, delayMs } of links) if (up) delays.set(`${id} ${server}`, delayMs)
    return (from, to) => delays.get(`${from} ${to}`) ?? delays.get(`${to} ${from}`)
}

async function can({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const members = [...new Set(String(flags.members ?? "").split(","))].filter(Boolean)
    if (members.length === 0) return usage("--members is needed", "parley session can --members board-a,board-b")
    const kbps = Number(flags.bandwidth ?? sessionKbps)
    if (!Number.isInteger(kbps) || kbps < 1 || kbps > mostKbps)
        return usage(`--bandwidth: a whole number of kbit/s from 1 to ${mostKbps} is needed, not "${flags.bandwidth}"`)
    const minutes = minutesOf(flags)
    if (!minutes.ok) return minutes
    const start = startOf((flags.start as string | undefined) ?? "now")
    if (!start.ok) return start
    const group = groupOf(settings)
    if (!group.ok) return group
    const wanted = { members, kbps, minutes: minutes.value, ...(start.value !== undefined && { start: start.value }) }
    const forecast = fromGroup(await group.value.canSession(wanted))
    if (!forecast.ok) return forecast

    const { source, servers } = forecast.value
    const destinations = servers.map(one => one.server).filter(server => server !== source)
    let answer: Can | undefined
    if (source !== undefined && destinations.length > 0) {
        const asked = await askSource(settings, source, { destinations, kbps })
        // Without the source a no of the group server is still a no.
        if (!asked.ok && forecast.value.fits) return asked
        if (asked.ok) answer = asked.value
    }
    const next = new Map<string, number>()
    for (const short of answer?.short ?? []) {
        const release = await group.value.nextRelease(short.at, short.to)
        if (release.ok && release.value.next !== undefined) next.set(releaseKey(short), release.value.next)
    }
    const result = combine(forecast.value, answer, next)
    const text = canText(result, await delaysOf(group.value))
    return success({ value: result, text, ...(!result.fits && { exit: "doesNotFit" as const }) })
}

async function book({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const { by, with: target, title } = flags as Record<string, string | undefined>
    if (!by || !target) return usage("--by and --with are needed", "parley session book --by board-a --with all-rooms")
    const minutes = minutesOf(flags)
    if (!minutes.ok) return minutes
    const start = startOf((flags.start as string | undefined) ?? "now")
    if (!start.ok) return start
    const group = groupOf(settings)
    if (!group.ok) return group
    const booked = fromGroup(
        await group.value.book({ by, with: target, start: start.value, minutes: minutes.value, title }),
    )
    return booked.ok ? success({ value: booked.value, text: describe(booked.value) }) : booked
}

async function record({ settings, words: [id, word], flags }: Call): Promise<Outcome<Answer>> {
    if (word !== "on" && word !== "off") return usage(`on or off is needed, not "${word}"`)
    const { format: given = "wav" } = flags as Record<string, string | undefined>
    const format = recordingFormats.find(one => one === given)
    if (!format) return usage(`--format: ${recordingFormats.join(" or ")} is needed, not "${given}"`)
    const group = groupOf(settings)
    if (!group.ok) return group
    const isOn = word === "on"
    const done = fromGroup(await group.value.recordSession(id, isOn ? format : undefined))
    if (!done.ok) return done
    const text = isOn
        ? `${id} is recorded at its source, in the folder "recordings" of that server's state`
        : `${id} is not recorded any more`
    return success({ value: { session: id, ...(isOn && { recording: format }) }, text })
}

async function cancel({ settings, words, confirm, output }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const session = fromGroup(await group.value.getSession(words[0]))
    if (!session.ok) return session
    if (session.value.state === "ended")
        return success({ value: { cancelled: words[0] }, text: `${words[0]} had ended already` })
    const inside = session.value.members.filter(member => member.status === "joined")
    if (inside.length > 0 && !(await confirm(`${inside.length} rooms are in this session. End it for all?`)))
        return failure(
            "failed",
            "not-confirmed",
            `${inside.length} rooms are in session ${words[0]}; it was not ended`,
            {
                who: "you",
                next: `parley session cancel ${words[0]} --yes${output.json ? " --json" : ""}`,
            },
        )
    const cancelled = fromGroup(await group.value.cancelSession(words[0]))
    return cancelled.ok ? success({ value: { cancelled: words[0] }, text: `cancelled ${words[0]}` }) : cancelled
}

function minutesOf(flags: Flags): Outcome<number> {
    const minutes = Number(flags.minutes ?? defaultMinutes)
    if (Number.isInteger(minutes) && minutes >= limits.sessionMinutesMin && minutes <= limits.sessionMinutesMax)
        return success(minutes)
    return usage(
        `--minutes: a whole number from ${limits.sessionMinutesMin} to ${limits.sessionMinutesMax} is needed, not "${flags.minutes}"`,
    )
}

function startOf(text: string): Outcome<number | undefined> {
    if (text === "now") return success(undefined)
    // Date.parse alone takes "1" for the year 2001.
    const ms = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(text) : Number.NaN
    if (Number.isNaN(ms)) return usage(`--start: "${text}" is no time`, `--start ${exampleStart()}, or --start now`)
    return success(Math.floor(ms / 1000))
}

/** Tomorrow: an example that can be typed as it stands. */
function exampleStart(): string {
    return `${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)}T14:00Z`
}

function describe(session: Session): string {
    const head = [
        `session  ${session.id}  ${session.state}${session.endReason ? ` (${session.endReason})` : ""}`,
        `title    ${session.title || "-"}`,
        `by       ${session.by}, with ${session.with}`,
        `time     ${timeText(session.start)} to ${timeText(session.end)}`,
        `source   ${session.source ? session.sourceReason || session.source : "not chosen yet"}`,
        ...(session.recording ? [`recorded as ${session.recording}`] : []),
    ]
    const members = table(
        ["MEMBER", "NAME", "STATUS", "SERVER"],
        session.members.map(member => [member.endpoint, member.name, member.status, member.server ?? ""]),
    )
    return `${head.join("\n")}\n\n${members}`
}
