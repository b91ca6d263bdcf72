/**
 * `parley session ...`: booking, looking at and cancelling sessions through the group server.
 */
import type { Session } from "../../servers/group/http/schemas.ts"
import { failure, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"

const states = ["scheduled", "opening", "open", "ended", "live"] as const
const defaultMinutes = 30

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
        about: "one session with its members and its source server",
        run: show,
    })
    shell.verb(session, {
        name: "book",
        about: "book a session of an endpoint with a group or a room",
        options: [
            ["--by <endpoint>", "who books"],
            ["--with <id>", "the group or endpoint to call"],
            ["--start <time>", "ISO 8601 such as 2030-01-31T14:00Z, or now (default)"],
            ["--minutes <number>", `how long (default ${defaultMinutes})`],
            ["--title <text>", "what it is about"],
        ],
        examples: [
            "parley session book --by board-a --with all-rooms",
            "parley session book --by board-a --with board-b --start 2030-01-31T14:00Z",
        ],
        run: book,
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
    const session = fromGroup(await group.value.getSession(words[0]))
    return session.ok ? success({ value: session.value, text: describe(session.value) }) : session
}

async function book({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const { by, with: target, title } = flags as Record<string, string | undefined>
    if (!by || !target) return usage("--by and --with are needed", "parley session book --by board-a --with all-rooms")
    const minutes = Number(flags.minutes ?? defaultMinutes)
    if (!Number.isInteger(minutes) || minutes < 1)
        return usage(`--minutes: a whole number is needed, not "${flags.minutes}"`)
    const start = startOf((flags.start as string | undefined) ?? "now")
    if (!start.ok) return start
    const group = groupOf(settings)
    if (!group.ok) return group
    const booked = fromGroup(await group.value.book({ by, with: target, start: start.value, minutes, title }))
    return booked.ok ? success({ value: booked.value, text: describe(booked.value) }) : booked
}

async function cancel({ settings, words, confirm, output }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const session = fromGroup(await group.value.getSession(words[0]))
    if (!session.ok) return session
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

function startOf(text: string): Outcome<number | undefined> {
    if (text === "now") return success(undefined)
    const ms = Date.parse(text)
    if (Number.isNaN(ms)) return usage(`--start: "${text}" is no time`, "--start 2030-01-31T14:00Z, or --start now")
    return success(Math.floor(ms / 1000))
}

function timeText(seconds: number): string {
    return new Date(seconds * 1000).toISOString().replace(":00.000Z", "Z").replace(".000Z", "Z")
}

function describe(session: Session): string {
    const head = [
        `session  ${session.id}  ${session.state}${session.endReason ? ` (${session.endReason})` : ""}`,
        `title    ${session.title || "-"}`,
        `by       ${session.by}, with ${session.with}`,
        `time     ${timeText(session.start)} to ${timeText(session.end)}`,
        `source   ${session.source ? `${session.source}: ${session.sourceReason ?? ""}` : "not chosen yet"}`,
    ]
    const members = table(
        ["MEMBER", "NAME", "STATUS", "SERVER"],
        session.members.map(member => [member.endpoint, member.name, member.status, member.server ?? ""]),
    )
    return `${head.join("\n")}\n\n${members}`
}
