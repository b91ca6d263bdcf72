/**
 * The control API of the simulator: what a person in the room, a radio and a mains plug can do to a board, over HTTP.
 *
 * Listens on loopback only and asks for a bearer token. Never touches a board's memory or messages: who uses this can do what
 * hands can do, and see what eyes can see (and the log).
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { dirname } from "node:path"
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox"
import Fastify, { type FastifyReply } from "fastify"
import { Type } from "typebox"
import type { Board } from "./board.ts"
import { buttonNames } from "./hardware/hardware.ts"
import type { Simulation } from "./simulation.ts"

export interface ControlOptions {
    simulation: Simulation
    host: string
    port: number
    tokenFile: string
}

export interface Control {
    url: string
    token: string
    stop(): Promise<void>
}

const holdMaxMs = 60_000
const turnMax = 200
const streamsMax = 64
/** A reader that does not read is left behind at this point. */
const streamBufferBytes = 4 * 1024 * 1024
const streamAliveMs = 15_000
const bodyMaxBytes = 16 * 1024

const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 24 }) })
const closed = { additionalProperties: false }
const FilePath = Type.Union([Type.String({ minLength: 1, maxLength: 4096 }), Type.Null()])
const Press = Type.Object(
    {
        button: Type.Union(buttonNames.map(name => Type.Literal(name))),
        holdMs: Type.Optional(Type.Integer({ minimum: 10, maximum: holdMaxMs })),
    },
    closed,
)
const Turn = Type.Object({ steps: Type.Integer({ minimum: -turnMax, maximum: turnMax }) }, closed)
const powerActions = ["on", "off", "cycle", "reset"] as const
const Power = Type.Object({ action: Type.Union(powerActions.map(action => Type.Literal(action))) }, closed)
const Radio = Type.Object(
    {
        up: Type.Optional(Type.Boolean()),
        lossPercent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
        delayMs: Type.Optional(Type.Number({ minimum: 0, maximum: 10_000 })),
    },
    closed,
)
const Media = Type.Object(
    {
        microphone: Type.Optional(FilePath),
        speaker: Type.Optional(FilePath),
        loop: Type.Optional(Type.Boolean()),
        leadSilenceMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 60_000 })),
    },
    closed,
)
const Serial = Type.Object({ plugged: Type.Boolean() }, closed)
const EventsQuery = Type.Object({
    board: Type.Optional(Type.String({ maxLength: 24 })),
    types: Type.Optional(Type.String()),
})
const LogQuery = Type.Object({ lines: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })) })

/** Listens when it resolves; the token is in the file before that. */
export async function startControl({ simulation, host, port, tokenFile }: ControlOptions): Promise<Control> {
    const token = randomBytes(24).toString("base64url")
    const digest = (text: string) => createHash("sha256").update(text).digest()
    const wanted = digest(`Bearer ${token}`)
    const app = Fastify({
        bodyLimit: bodyMaxBytes,
        forceCloseConnections: true,
    }).withTypeProvider<TypeBoxTypeProvider>()
    app.setValidatorCompiler(TypeBoxValidatorCompiler)

    app.addHook("onRequest", async (request, reply) => {
        if (!timingSafeEqual(digest(request.headers.authorization ?? ""), wanted))
            return problem(reply, 401, "not-allowed", `the token is missing or wrong; it is in ${tokenFile}`)
    })
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
        const status = error.statusCode ?? 500
        return problem(
            reply,
            status,
            status < 500 ? "malformed" : "internal",
            error.message,
            status < 500 ? "you" : "maker",
        )
    })
    app.setNotFoundHandler((_request, reply) => problem(reply, 404, "unknown-path", "there is no such resource"))

    const withBoard = async (id: string, reply: FastifyReply, use: (board: Board) => unknown) => {
        const board = simulation.boards.get(id)
        if (board) return use(board)
        return problem(
            reply,
            404,
            "unknown-board",
            `no board "${id}"; there are ${[...simulation.boards.keys()].join(", ")}`,
        )
    }
    const acted = (reply: FastifyReply, atMs: number | undefined) =>
        atMs === undefined ? problem(reply, 409, "no-power", "the board has no power: switch it on first") : { atMs }

    app.get("/v1/boards", async () => ({ boards: [...simulation.boards.values()].map(board => board.status()) }))

    app.get("/v1/boards/:id", { schema: { params: Params } }, ({ params }, reply) =>
        withBoard(params.id, reply, board => board.freshStatus()),
    )

    app.get("/v1/boards/:id/screen", { schema: { params: Params } }, ({ params }, reply) =>
        withBoard(params.id, reply, board => board.display()),
    )

    app.get("/v1/boards/:id/log", { schema: { params: Params, querystring: LogQuery } }, ({ params, query }, reply) =>
        withBoard(params.id, reply, board => ({ lines: board.logLines().slice(-(query.lines ?? 100)) })),
    )

    app.post("/v1/boards/:id/press", { schema: { params: Params, body: Press } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, board => acted(reply, board.press(body.button, body.holdMs))),
    )

    app.post("/v1/boards/:id/turn", { schema: { params: Params, body: Turn } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, board => acted(reply, board.turn(body.steps))),
    )

    app.post("/v1/boards/:id/power", { schema: { params: Params, body: Power } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, async board => {
            if (body.action === "on") await board.powerOn()
            if (body.action === "off") board.powerOff()
            if (body.action === "cycle") await board.powerCycle()
            if (body.action === "reset") await board.reset()
            return board.status()
        }),
    )

    app.post("/v1/boards/:id/serial", { schema: { params: Params, body: Serial } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, async board => {
            if (!body.plugged) {
                await simulation.unplugSerial(board)
                return { path: null }
            }
            const plugged = await simulation.plugSerial(board)
            return plugged.ok ? plugged.value : problem(reply, 422, plugged.code, plugged.what, plugged.who)
        }),
    )

    app.post("/v1/boards/:id/wifi", { schema: { params: Params, body: Radio } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, board => {
            board.wifi.set(body)
            return board.wifi.state
        }),
    )

    app.get("/v1/boards/:id/media", { schema: { params: Params } }, ({ params }, reply) =>
        withBoard(params.id, reply, board => board.media?.statistics() ?? noMedia(reply)),
    )

    app.post("/v1/boards/:id/media", { schema: { params: Params, body: Media } }, ({ params, body }, reply) =>
        withBoard(params.id, reply, async board => {
            const { media } = board
            if (!media) return noMedia(reply)
            const atMs = simulation.clock.nowMs()
            let durationMs: number | undefined
            if (body.microphone !== undefined) {
                const { loop, leadSilenceMs } = body
                const outcome = await media.setMicrophone(body.microphone, { loop, leadSilenceMs })
                if (!outcome.ok) return problem(reply, 422, outcome.code, outcome.what, outcome.who)
                durationMs = outcome.value.durationMs
            }
            if (body.speaker !== undefined) {
                const outcome = await media.setSpeaker(body.speaker)
                if (!outcome.ok) return problem(reply, 422, outcome.code, outcome.what, outcome.who)
            }
            return { atMs, durationMs }
        }),
    )

    let streams = 0
    app.get("/v1/events", { schema: { querystring: EventsQuery } }, ({ query, raw: request }, reply) => {
        if (streams >= streamsMax) return problem(reply, 503, "too-many", `more than ${streamsMax} readers of events`)
        streams++
        reply.hijack()
        const { raw } = reply
        raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
        // So that a reader knows that from here on nothing is missed, and how its clock and ours relate.
        raw.write(`event: ready\ndata: ${JSON.stringify({ atMs: simulation.clock.nowMs() })}\n\n`)
        const types = query.types?.split(",")
        const stop = simulation.events.listen(event => {
            if (query.board !== undefined && event.board !== query.board) return
            if (types && !types.includes(event.type)) return
            if (raw.writableLength > streamBufferBytes) return raw.destroy()
            raw.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
        })
        const alive = setInterval(() => raw.write(": alive\n\n"), streamAliveMs)
        const end = () => {
            clearInterval(alive)
            stop()
            streams--
        }
        raw.once("close", end)
        raw.on("error", () => {})
        request.socket.setNoDelay(true)
    })

    writeToken(tokenFile, token)
    await app.listen({ host, port })
    const address = app.server.address() as AddressInfo
    return { url: `http://${host}:${address.port}`, token, stop: () => app.close() }
}

function noMedia(reply: FastifyReply) {
    return problem(reply, 409, "no-media", "the board has no media engine")
}

function problem(reply: FastifyReply, status: number, code: string, detail: string, who = "you") {
    return reply.code(status).type("application/problem+json").send({ status, code, title: code, detail, who })
}

/** Readable by the owner only, from its first byte on; replaced as a whole. */
function writeToken(path: string, token: string): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const temporary = `${path}.${process.pid}.tmp`
    writeFileSync(temporary, `${token}\n`, { mode: 0o600 })
    chmodSync(temporary, 0o600)
    renameSync(temporary, path)
}
