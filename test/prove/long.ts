/**
 * A session of twelve rooms at four servers for hours, in virtual time or in real time: memory stays flat, sound cards whose
 * clocks are up to 200 ppm off are followed, and nothing is held after its end.
 *
 * Owns the run. The planes and engines are the real ones, in this process; in real time they have sockets of their own. Rooms
 * speak one after the other, half a minute each; what the farthest room hears of it is measured once in ten minutes.
 */

import { setTimeout as wait } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { CodecName } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { systemHost } from "../../media/host.ts"
import { measure } from "../../media/measure.ts"
import { loadOpus } from "../../media/opus.ts"
import { raisePriority } from "../../media/priority.ts"
import { MediaPlane } from "../../servers/routing/media/plane.ts"
import { Engine } from "../../sim/media-engine/engine.ts"
import { Path, VirtualMedia, type Way } from "../../sim/world/media-host.ts"
import { legKeys, sessionKeys } from "../media/keys.ts"
import { part, readSpeech } from "../media/speech.ts"

export interface LongOptions {
    minutes: number
    seed: number
    isReal?: boolean
    progress?: (line: string) => void
}

export interface LongFigures {
    [name: string]: number
    minutes: number
    rooms: number
    heapStartBytes: number
    heapGrowthBytes: number
    /** Of the jitter buffers of engines and servers: the largest of all turns, and the median after the last one. */
    delayMaxMs: number
    delayEndMs: number
    correlationMin: number
    concealedPercent: number
    /** Sessions, sockets and events that are left after the end. */
    held: number
}

const session = "long"
const servers = ["rs-a", "rs-b", "rs-c", "rs-d"]
const roomsOfServer = 3
const turnMs = 30_000
/** Of the end of a turn, that is looked at. */
const saidMs = 10_000
const tailMs = 1500
const measuredTurns = 20
/** What is used for the first time is not a leak: memory is compared with what it is after so many turns. */
const warmTurns = 2
const ppmMost = 200
const legWay: Way = { delayMs: 5, jitterMs: 10, loss: 0 }
const linkWay: Way = { delayMs: 10, jitterMs: 5, loss: 0, inOrder: true }

export async function talkForLong({ minutes, seed, isReal = false, progress }: LongOptions): Promise<LongFigures> {
    if (isReal) raisePriority()
    await loadOpus()
    const world = isReal ? undefined : new VirtualMedia(seed)
    const host = world ?? systemHost
    const nowMs = () => host.clock.nowMs()
    const pass = (ms: number) => (world ? world.agenda.runUntil(nowMs() + ms) : wait(ms))
    const planes: MediaPlane[] = []
    const engines: Engine[] = []
    const paths = new Map<string, Path>()
    const carry = (from: number, peer: string, label: number, packet: Buffer) => {
        const to = servers.indexOf(peer)
        const copy = Buffer.from(packet)
        const deliver = () => planes[to]!.receiveFromLink(servers[from]!, label, copy)
        if (!world) return void setTimeout(deliver, linkWay.delayMs)
        const name = `${from} ${to}`
        const path = paths.get(name) ?? new Path(world.agenda, () => linkWay, seed + 7 * paths.size)
        paths.set(name, path)
        path.pass(deliver)
    }

    for (const [index, rs] of servers.entries()) {
        const plane = new MediaPlane({
            ...{ ip: planeIp(index), port: 0, loadPercent: () => 0, host },
            sendOnLink: (peer, label, packet) => carry(index, peer, label, packet),
        })
        planes.push(plane)
        const started = await plane.start()
        if (!started.ok) throw new Error(started.what)
        plane.setSessionKeys(session, sessionKeys(rs, servers))
        for (let room = 0; room < roomsOfServer; room++) {
            const number = engines.length
            const ip = `127.40.1.${number + 1}`
            world?.ways.set(ip, legWay)
            const engine = new Engine({
                ...{ ipAddress: ip, port: 0, recordSeconds: 30, clockPpm: ppmOf(number) },
                ...(world && { host: world }),
                underlay: { delaysMs: {}, jitterMs: 0, lossPercent: 0, seed },
                onEvent: () => {},
            })
            engines.push(engine)
            await pass(7)
            const opened = await engine.start()
            if (!opened.ok) throw new Error(opened.what)
            // One room of each server has PCMU and the others Opus.
            const codec: CodecName = room === 0 ? "pcmu" : "opus"
            const ssrc = number + 1
            const keys = legKeys(ssrc)
            const { ip: remoteIp, port: remotePort } = opened.value
            const leg = { session, endpoint: `ep-${ssrc}`, ssrc, remoteIp, remotePort, codec, keys }
            const added = plane.addLeg(leg)
            if (!added.ok) throw new Error(added.what)
            const { payloadType } = codecs[codec]
            engine.open({ ssrc, ip: planeIp(index), port: started.value.port, payloadType, frameMs: 20, keys })
            engine.volume = 100
        }
    }
    for (let index = 1; index < servers.length; index++) {
        planes[index - 1]!.addLink({ session, peer: servers[index]!, labelOut: index, labelIn: 100 + index })
        planes[index]!.addLink({ session, peer: servers[index - 1]!, labelOut: 100 + index, labelIn: index })
    }

    const figures = { heapStartBytes: 0, heapGrowthBytes: 0, delayMaxMs: 0, delayEndMs: 0, correlationMin: 1 }
    const speech = readSpeech()
    const turns = Math.max(warmTurns + 2, Math.round((minutes * 60_000) / turnMs))
    for (let turn = 0; turn < turns; turn++) {
        const speaker = engines[turn % engines.length]!
        speaker.muted = false
        speaker.microphone.start(speech, true, 0)
        await pass(turnMs)
        const delays = planes.flatMap(plane => plane.statistics().legs.map(({ delayMs }) => delayMs))
        delays.push(...engines.map(engine => engine.statistics().delayMs))
        figures.delayEndMs = delays.sort((a, b) => a - b)[delays.length >> 1]!
        if (turn > 0) figures.delayMaxMs = Math.max(figures.delayMaxMs, ...delays)
        if (turn % measuredTurns === 1 || turn === turns - 1) {
            const listener = engines[turn % engines.length < engines.length / 2 ? engines.length - 1 : 0]!
            figures.correlationMin = Math.min(figures.correlationMin, heardOf(speaker, listener, nowMs()))
            const minute = Math.round(((turn + 1) * turnMs) / 60_000)
            progress?.(`minute ${minute}: ${JSON.stringify({ ...figures, heapBytes: heapBytes() })}`)
        }
        speaker.muted = true
        if (turn === warmTurns) figures.heapStartBytes = heapBytes()
    }
    figures.heapGrowthBytes = heapBytes() - figures.heapStartBytes
    const concealed = engines.reduce((sum, engine) => sum + engine.statistics().concealed, 0)
    const concealedPercent = (100 * concealed * 20) / (engines.length * turns * turnMs)

    for (const engine of engines) await engine.stop()
    for (const plane of planes) await plane.close()
    await pass(1000)
    const sessions = planes.reduce((sum, plane) => sum + plane.statistics().sessions, 0)
    const held = sessions + (world ? world.open + world.agenda.size : 0)
    return { minutes: (turns * turnMs) / 60_000, rooms: engines.length, ...figures, concealedPercent, held }
}

/** How much of the end of a turn was heard. A function of its own: nothing of it is in use when memory is looked at. */
function heardOf(speaker: Engine, listener: Engine, nowMs: number): number {
    const fromMs = nowMs - saidMs - tailMs
    const said = part(speaker.captured.stretchesKept(), fromMs, fromMs + saidMs)
    const heard = part(listener.played.stretchesKept(), fromMs, fromMs + saidMs + tailMs)
    const measured = measure(said, heard)
    if (!measured.ok) throw new Error(measured.what)
    return measured.value.correlation
}

/** What the figures break, or "". A real machine has stalls of its own, for which a buffer may grow for a while. */
export function wrongWithLong(figures: LongFigures): string {
    const { heapGrowthBytes, delayMaxMs, delayEndMs, correlationMin, held } = figures
    if (heapGrowthBytes > 4_000_000) return `memory has grown by ${heapGrowthBytes} bytes`
    if (delayEndMs > 60 || delayMaxMs > 260)
        return `delays have grown to ${delayEndMs} ms, and ${delayMaxMs} ms at most`
    if (correlationMin < 0.9) return `of a turn, only ${correlationMin} was heard`
    return held === 0 ? "" : `${held} things are held after the end`
}

function planeIp(index: number): string {
    return `127.40.0.${index + 1}`
}

/** From -200 to 200 ppm over the rooms. */
function ppmOf(room: number): number {
    return -ppmMost + (2 * ppmMost * room) / (servers.length * roomsOfServer - 1)
}

/** What is in use after a collection: the second one counts what the first has let go of. */
function heapBytes(): number {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
}
