/**
 * Feeds hostile byte streams to the firmware's MQTT client inside the VM, under virtual time and without a network.
 *
 *     node --import tsx test/firmware/fuzz.ts [streams] [seed]
 *
 * Each stream is one connection: before, in the middle of, or after a right handshake the broker turns hostile. After each
 * one the client must come back by itself, and now and then it must do its work: handshake, echo, acknowledgement.
 * Checked: no panic, no fault of the VM, heap bounded, everything that the client writes is MQTT.
 * A new VM each `blockStreams` streams: a failure names its block, and `seed` with that block repeats it alone.
 */

import { pathToFileURL } from "node:url"
import { VirtualClock } from "../../sim/clock.ts"
import { type SeededRandom, seededRandom } from "../support/random.ts"
import { connAck, hostileStream, publish, subAck } from "./hostile.ts"
import { PlayedSocket } from "./played-socket.ts"
import { program, TestBoard } from "./test-board.ts"

export interface FuzzOptions {
    streams: number
    seed: number
    /** Starts with this block of streams: to repeat a failure. */
    firstBlock?: number
    onProgress?: (streams: number) => void
}

export interface FuzzResult {
    streams: number
    bytes: number
    /** Connections in which the client was made to do its work afterwards, and did. */
    proofsOfLife: number
    heapPeakBytes: number
    /** What went wrong, with the block and the stream in which it did; empty when nothing did. */
    failures: string[]
    seconds: number
}

export const blockStreams = 500
const pieceBytes = 1024
/** The client's longest delay between attempts, and an attempt or two that fail. */
const comeBackMs = 120_000

export async function runFuzz(options: FuzzOptions): Promise<FuzzResult> {
    const startMs = performance.now()
    const bytecode = await program("echo")
    const result = { streams: 0, bytes: 0, proofsOfLife: 0, heapPeakBytes: 0, failures: [] as string[], seconds: 0 }
    for (let block = options.firstBlock ?? 0; result.streams < options.streams; block++) {
        const many = Math.min(blockStreams, options.streams - result.streams)
        const failure = await runBlock(bytecode, options.seed, block, many, result)
        if (failure) result.failures.push(`seed ${options.seed} block ${block}: ${failure}`)
        if (result.failures.length >= 5) break
        options.onProgress?.(result.streams)
        // Under virtual time nothing else in this process would ever have its turn.
        await new Promise(resolve => setImmediate(resolve))
    }
    result.seconds = (performance.now() - startMs) / 1000
    return result
}

/** One VM, `streams` connections; what went wrong, or undefined. */
async function runBlock(
    bytecode: Uint8Array,
    seed: number,
    block: number,
    streams: number,
    result: FuzzResult,
): Promise<string | undefined> {
    const random = seededRandom(Math.imul(seed, 0x9e3779b1) + block)
    const clock = new VirtualClock()
    const socket = new PlayedSocket(clock)
    const board = await TestBoard.start(bytecode, {
        clock,
        sockets: socket,
        random: bytes => random.bytes(bytes),
        measure: "on demand",
    })
    try {
        for (let i = 0; i < streams; i++) {
            result.streams++
            const problem = oneStream(clock, socket, board, random, result) ?? problemOf(board, socket)
            if (problem) return `stream ${i}: ${problem}\n${board.tail()}`
        }
        const problem = proofOfLife(clock, socket, board)
        if (problem) return `after stream ${streams - 1}: ${problem}\n${board.tail()}`
        result.proofsOfLife++
        return undefined
    } finally {
        result.heapPeakBytes = Math.max(result.heapPeakBytes, board.heapPeakBytes)
        board.machine.stop()
    }
}

function problemOf(board: TestBoard, socket: PlayedSocket): string | undefined {
    if (board.panics.length > 0) return `panics ${board.panics}`
    if (socket.written.problem) return `the client wrote ${socket.written.problem}`
    return undefined
}

function oneStream(
    clock: VirtualClock,
    socket: PlayedSocket,
    board: TestBoard,
    random: SeededRandom,
    result: FuzzResult,
): string | undefined {
    socket.outcome = () => (random.chance(0.95) ? "open" : random.pick(["error", "close", "nothing"]))
    socket.answer = () => 0
    if (!clock.advanceUntil(() => socket.greeted(), comeBackMs, 10)) return "did not connect again"
    if (random.chance(0.02)) {
        const problem = proofOfLife(clock, socket, board)
        if (problem) return problem
        result.proofsOfLife++
    }

    const handshake = random.int(0, 9)
    let greeting = handshake > 1 ? connAck(random.int(0, 1)) : Buffer.alloc(0)
    if (handshake > 2) greeting = Buffer.concat([greeting, subAck()])
    if (handshake > 5) {
        // The client is up, and its application at work, before it begins.
        socket.tell(greeting)
        greeting = Buffer.alloc(0)
        clock.advance(random.int(5, 60))
    }
    const stream = Buffer.concat([greeting, hostileStream(random)])
    result.bytes += stream.length
    socket.written.acknowledgesAtRandom = true
    // Without its birth acknowledged the client handles no message.
    socket.acknowledges = random.chance(0.8)
    const blocked = random.int(0, 19)
    if (blocked === 0) socket.answer = () => (random.chance(0.5) ? 0 : -1)
    else if (blocked === 1) socket.answer = () => -1
    else if (blocked === 2) socket.answer = () => random.pick([0, 0, 0, 0, -10])
    const pieces = random.pick([1, 3, 40, pieceBytes, pieceBytes, pieceBytes])
    const pauseMs = random.pick([0, 0, 0, 1, 30, 300])
    const connection = socket.opens
    let fed = 0
    for (let at = 0; at < stream.length && fed < 200; fed++) {
        const size = pieces === pieceBytes ? pieceBytes : random.int(1, pieces)
        if (!socket.connected || socket.opens !== connection) break
        // Byte by byte only at the front of a long stream.
        const end = fed < 199 ? at + size : Math.min(stream.length, at + pieceBytes)
        socket.say({ type: "data", data: stream.subarray(at, end) })
        at = end
        // Several pieces may come before the client has its turn.
        if (random.chance(0.9)) clock.advance(pauseMs > 0 ? random.int(0, pauseMs) : 1)
        board.measure()
        if (board.panics.length > 0) return undefined
    }
    clock.advance(random.pick([0, 1, 50, 50, 50, 500, 1500, 12_000]))
    if (socket.connected && socket.opens === connection) {
        const problem = problemOf(board, socket)
        if (problem) return problem
        socket.say(random.chance(0.5) ? { type: "close" } : { type: "error", text: "reset" })
    }
    clock.advance(1)
    board.measure()
    return undefined
}

/** A broker that behaves: the client must connect, subscribe and echo a message. */
function proofOfLife(clock: VirtualClock, socket: PlayedSocket, board: TestBoard): string | undefined {
    socket.outcome = () => "open"
    socket.answer = () => 0
    socket.acknowledges = true
    const payload = `alive ${clock.nowMs()}`
    // The first connection after a boot only throws the session away; one may have begun in the hostile stream.
    for (let attempt = 0; attempt < 3; attempt++) {
        if (!clock.advanceUntil(() => socket.greeted(), comeBackMs, 5)) return "it does not connect"
        const connection = socket.opens
        const until = (came: () => boolean) =>
            clock.advanceUntil(() => came() || socket.opens !== connection, comeBackMs, 5) &&
            socket.opens === connection
        socket.tell(connAck())
        if (!until(() => socket.written.has("subscribe"))) continue
        socket.tell(subAck())
        socket.tell(publish("parley/v1/ep/board-t/in/group/echo", payload, 1, 77))
        // Everything that is still in its outbox comes first, eight at a time.
        const echoed = until(() => {
            return socket.written.payloads.includes(payload)
        })
        if (!echoed && socket.opens !== connection) continue
        if (!echoed)
            return `no echo (panics: ${board.panics}) ${socket.written.summary()} opens ${socket.opens - connection}`
        if (!socket.written.has("puback")) clock.advance(50)
        return socket.written.has("puback") ? undefined : "no acknowledgement"
    }
    return "it does not stay connected"
}

async function main(): Promise<void> {
    const [streams = 3000, seed = 1, firstBlock = 0] = process.argv.slice(2).map(Number)
    const result = await runFuzz({
        streams,
        seed,
        firstBlock,
        onProgress: done => process.stderr.write(`fuzz: ${done} of ${streams} streams\n`),
    })
    process.stderr.write(result.failures.join("\n"))
    process.stdout.write(`${JSON.stringify({ ...result, failures: result.failures.length })}\n`)
    if (result.failures.length > 0) process.exitCode = 1
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main()
