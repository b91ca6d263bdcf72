import assert from "node:assert/strict"
import { test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { agendaShape, candidatesDoneShape, directoryDoneShape, refusedShape } from "../../protocol/messages.ts"
import {
    endShape,
    neighbourLimitDefaults,
    peersShape,
    policyShape,
    type ServerSession,
    serverSessionShape,
} from "../../protocol/servers.ts"
import { problemWith, type Shape } from "../../protocol/shape.ts"
import { utf8Bytes } from "../../protocol/text.ts"
import { policy } from "../../servers/group/core/model.ts"
import { drawSeed, type SeededRandom, seededRandom } from "../support/random.ts"
import { World } from "./world.ts"

const rooms = ["a", "b", "c", "d"]
const servers = ["rs-a", "rs-b", "rs-c"]
const verbs = {
    ep: ["hello", "time", "candidates", "directory", "book", "cancel", "decline", "toString", ""],
    rs: ["hello", "want", "joined", "left", "distances", "reservation", "reservation", "reservation", "__proto__"],
}
const fields = ["v", "boot", "board", "fw", "caps", "need", "from", "with", "start", "minutes", "title", "sid", "ep"]
const more = [
    "ip",
    "linkPort",
    "mediaPort",
    "fingerprint",
    "dspUnits",
    "reason",
    "on",
    "rs",
    "muted",
    "links",
    "load",
    "tags",
    "risk",
    "area",
    "lat",
    "lon",
    "list",
    "draining",
    "state",
    "kbps",
    "tree",
    "short",
]
const pushShapes: Record<string, Shape<unknown>> = {
    agenda: agendaShape,
    session: serverSessionShape,
    peers: peersShape,
    policy: policyShape,
    end: endShape,
}

function anything(random: SeededRandom, world: World): unknown {
    const sids = [...world.state.durable.sessions.keys()]
    const kinds = [
        () => random.pick([null, undefined, true, -1, 0, 1, 2, 5, 30, 1440, 65536, 2 ** 32, 1e21, 0.5, Number.NaN]),
        () =>
            random.pick([
                ...rooms,
                ...servers,
                "all",
                "",
                "group",
                "__proto__",
                "x".repeat(100),
                "界".repeat(30),
                "\ud800",
            ]),
        () => (sids.length > 0 ? random.pick(sids) : "none"),
        () => Math.floor(world.now) + random.int(-4000, 90_000),
        () =>
            random.pick([[], {}, [null], [["x"]], { rs: "rs-a", up: 1, delay: 5 }, [{ rs: "rs-b", up: 1, delay: 7 }]]),
        () => random.pick(["127.0.0.1", "1.2.3.4.5", "ab".repeat(32), "zz".repeat(32)]),
    ]
    return random.pick(kinds)()
}

/** A message that is right in most of its fields often enough to get somewhere. */
function message(random: SeededRandom, world: World): Record<string, unknown> {
    const sids = [...world.state.durable.sessions.keys()]
    const good: Record<string, unknown> = {
        v: 1,
        boot: random.int(1, 3),
        board: "x",
        fw: "0",
        caps: [],
        from: random.int(0, 3),
        with: random.pick([...rooms, "all"]),
        start: random.chance(0.3) ? 0 : Math.floor(world.now) + random.int(0, 20) * 300,
        minutes: random.int(5, 60),
        sid: sids.length > 0 ? random.pick(sids) : "none",
        ep: random.pick(rooms),
        ip: "127.0.0.1",
        linkPort: 1,
        mediaPort: 2,
        fingerprint: "ab".repeat(32),
        dspUnits: 5,
        on: random.int(0, 1),
        rs: random.pick(servers),
        tags: random.chance(0.3) ? ["east", "b"] : [],
        list: [{ rs: random.pick(servers), delay: random.int(0, 9000) }],
    }
    const count = random.chance(0.6) ? 0 : random.int(1, 4)
    for (let index = 0; index < count; index++) good[random.pick([...fields, ...more])] = anything(random, world)
    return good
}

/** What a source may tell of one of its sessions, mostly. */
function report(random: SeededRandom, world: World, from: string): Record<string, unknown> {
    const own = [...world.state.durable.sessions.values()].filter(one => one.source === from)
    const others = servers.filter(server => server !== from)
    const tree = others.map((rs, index) => ({ rs, parent: random.chance(0.7) ? from : others[index - 1] }))
    const reason = random.pick(["no-dsp", "no-bandwidth", "no-path"])
    const short = servers
        .filter(() => random.chance(0.4))
        .map(rs => ({
            rs,
            reason,
            what: "2 short",
            at: random.pick(servers),
            to: random.pick([...servers, undefined]),
        }))
    return {
        ...(own.length > 0 && random.chance(0.9) && { sid: random.pick(own).id }),
        ep: random.chance(0.9) ? Math.floor(world.now) : random.int(0, 9),
        state: random.pick(["reserving", "active", "refused", "degraded"]),
        kbps: 96,
        tree: random.chance(0.5) ? tree : [],
        short,
    }
}

function play(seed: number, events: number): World {
    const random = seededRandom(seed)
    const world = new World()
    world.rooms(...rooms)
    world.servers(...servers)
    world.do({ do: "createGroup", id: "all", name: "All", members: rooms })
    for (let index = 0; index < events; index++) {
        const kind = random.pick(["ep", "rs"] as const)
        const from = random.pick(kind === "ep" ? [...rooms, "stranger"] : [...servers, "rs-x"])
        const verb = random.pick(verbs[kind])
        const sound = { ...message(random, world), ...(verb === "reservation" && report(random, world, from)) }
        const body = random.chance(0.05) ? anything(random, world) : sound
        if (random.chance(0.25)) world.tell(kind, from, body, random.chance(0.2))
        else {
            const answer = world.run({
                type: "request",
                kind,
                from,
                verb,
                message: withId(body, index),
            })
            checkAnswer(answer)
        }
        if (random.chance(0.02)) {
            const id = random.pick(servers)
            world.do({
                do: "placeServer",
                id,
                change: random.pick([{ tags: ["x"] }, { tags: null }, { area: "north" }]),
            })
            const deny: [string, string][] = random.chance(0.5) ? [["east", "x"]] : []
            world.do({ do: "putPolicy", deny, limits: { ...neighbourLimitDefaults, degree: random.int(0, 9) } })
        }
        if (random.chance(0.1)) world.pass(random.int(1, 900))
        if (random.chance(0.002)) world.restart()
        checkSent(world)
        checkSessions(world)
        checkReservations(world)
    }
    return world
}

function withId(body: unknown, index: number): unknown {
    return typeof body === "object" && body !== null && !Array.isArray(body) ? { id: index + 1, ...body } : body
}

function checkAnswer(answer: ReturnType<World["run"]>): void {
    assert.ok(answer)
    if (!answer.ok) {
        const { ok: _, ...refusal } = answer
        assert.equal(problemWith(refusedShape, { re: 1, ...refusal }), "")
        return
    }
    const done = { re: 4294967295, ...answer.fields }
    assert.ok(utf8Bytes(JSON.stringify(done)) <= limits.messageToApplianceBytes)
    if ("list" in done && "next" in done) assert.equal(problemWith(directoryDoneShape, done), "")
    else if ("list" in done && (done.list as object[]).some(item => "rs" in item))
        assert.equal(problemWith(candidatesDoneShape, done), "")
}

const versions = new Map<string, number>()

function checkSent(world: World): void {
    for (const send of world.sent) {
        assert.equal(problemWith(pushShapes[send.verb], send.message), "", send.verb)
        if (send.kind === "ep") assert.ok(utf8Bytes(JSON.stringify(send.message)) <= limits.messageToApplianceBytes)
        if (send.verb === "session") {
            const { source, unreached = [], members } = send.message as ServerSession
            for (const { rs } of unreached) {
                assert.notEqual(rs, source, "whoever is at the source can meet")
                assert.ok(
                    members.some(member => member.rs === rs),
                    `${rs} has members`,
                )
            }
        }
        const { n } = send.message
        if (typeof n !== "number") continue
        const key = `${send.to} ${send.replaces}`
        assert.ok(n > (versions.get(key) ?? 0), `${key}: version ${n} after ${versions.get(key)}`)
        versions.set(key, n)
    }
    world.sent = []
}

/** No room is expected in two sessions at the same time, whatever anybody asked for. */
function checkSessions(world: World): void {
    for (const [room, sessions] of world.state.sessionsOf) {
        const ordered = [...sessions].sort((a, b) => a.start - b.start)
        for (let index = 1; index < ordered.length; index++)
            assert.ok(ordered[index - 1].end <= ordered[index].start, `${room} is in two sessions`)
    }
}

/** What is known of reservations is bounded, ends with the session, and never keeps the clock busy. */
function checkReservations(world: World): void {
    for (const [sid, { history, unreached }] of world.state.live.reservations) {
        const state = world.state.durable.sessions.get(sid)?.state
        assert.ok(state === "opening" || state === "open", `${sid} is ${state}`)
        assert.ok(history.length <= policy.reservationHistory)
        for (const { dueMs, sinceMs } of unreached.values()) {
            assert.ok(dueMs <= sinceMs + policy.retryMs)
            leftOut++
        }
    }
}

let leftOut = 0

test("whatever endpoints and routing servers send, nothing throws, answers and pushes keep their shapes, rooms are never doubly booked", () => {
    const seed = drawSeed("group fuzz")
    let sessions = 0
    leftOut = 0
    // Chance rarely leaves a server out in six runs: it gets more until it has.
    for (let run = 0; run < 6 || (leftOut === 0 && run < 60); run++) {
        versions.clear()
        sessions += play(seed + run, 2500).state.durable.sessions.size
    }
    assert.ok(sessions > 50, `only ${sessions} sessions: the messages do not get anywhere`)
    assert.ok(leftOut > 0, "no server is ever left out")
})
