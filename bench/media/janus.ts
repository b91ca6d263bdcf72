/**
 * How many participants one core's worth of processor time carries in Janus' AudioBridge, beside ours: `mixing.ts` with another
 * mixer, with the same endpoints, speech and rooms. Left out, with a word, where Debian's Janus cannot be had.
 *
 * Owns what makes the two comparable: rooms of 16 kHz, and for Opus the bit rate, complexity and repair of ours. What differs
 * stands in docs/sound.md. Janus has a thread for each participant and room, on all cores: its time is that of the process.
 */
import { setTimeout as wait } from "node:timers/promises"
import { opusPayloadType, opusSettings } from "../../media/opus.ts"
import { endpointsIp } from "./addresses.ts"
import type { EndpointsOrder } from "./endpoints.ts"
import { findJanus, type JanusFiles, type JanusRoom, JanusServer, janusIp } from "./janus-server.ts"
import { countOf, mixingFigure, type Setting } from "./mixing.ts"
import { ask, startProcess } from "./processes.ts"
import { atWantedLoad, type Loaded, participantsOfCore } from "./wanted-load.ts"

const scenarios = [
    { figure: "janusPcmu", ours: "pcmuParticipants", codec: "pcmu", firstGuess: 200 },
    { figure: "janusOpus", ours: "opusParticipants", codec: "opus", firstGuess: 80 },
] as const

const roomSize = 4
const settleMs = 3000
const seconds = 6
const packetsPerSecond = 50
/** Everybody talks: where less of what comes back is sound, the mixer did not do what is measured. */
const soundingMin = 0.9

export async function janusFigures({ progress, udp, known }: Setting): Promise<Record<string, number>> {
    const janus = findJanus()
    if (!janus.ok) {
        progress(`Janus AudioBridge left out: ${janus.why}`)
        return {}
    }
    const figures: Record<string, number> = {}
    for (const { figure, ours, codec, firstGuess } of scenarios) {
        if (known[ours] === undefined) {
            const own = await mixingFigure(ours, progress, udp)
            for (const name of [ours, `${ours}Us`]) figures[name] = own[name]
        }
        // Nothing is lost on the way, and our endpoints say so: neither of the two puts repair into its packets.
        const room: JanusRoom = { codec, payloadType: opusPayloadType, ...opusSettings, lossPercent: 0 }
        const measureOf = (count: number) => measure(janus.files, room, count)
        const { participants, result } = await atWantedLoad(figure, firstGuess, measureOf)
        const ofCore = participantsOfCore(participants, result)
        figures[`${figure}Participants`] = ofCore
        figures[`${figure}ParticipantsUs`] = Math.round(result.usOfParticipantTick * 10) / 10
        figures[`${figure}Ratio`] = Math.round(((known[ours] ?? figures[ours]) / ofCore) * 100) / 100
        progress(
            `${figure}: ${ofCore} at 70 % of a core; measured ${participants} at ${(result.load * 100).toFixed(0)} %, ` +
                `${result.usOfParticipantTick.toFixed(1)} us a participant and tick, lost ${(result.loss * 100).toFixed(2)} %; ` +
                `ours carries ${figures[`${figure}Ratio`]} times as many`,
        )
    }
    return figures
}

interface Result extends Loaded {
    usOfParticipantTick: number
}

/** Each run in fresh processes, as in `mixing.ts`; the endpoints never sleep, as each of the threads of Janus would pay for waking them. */
async function measure(files: JanusFiles, room: JanusRoom, participants: number): Promise<Result> {
    const endpoints = startProcess("endpoints.ts", 1)
    let janus: JanusServer | undefined
    try {
        janus = await JanusServer.start(files)
        const order = { codec: room.codec, participants, roomSize, talkers: roomSize, isPlain: true, sleeps: false }
        const { ports } = await ask<{ ports: number[] }>(endpoints, {
            type: "start",
            ...order,
        } satisfies EndpointsOrder)
        const heardAt = await janus.join(room, participants, roomSize, endpointsIp, ports)
        await ask(endpoints, { type: "speak", ip: janusIp, ports: heardAt } satisfies EndpointsOrder)
        await wait(settleMs)
        const before = await count(endpoints, janus)
        await wait(seconds * 1000)
        const after = await count(endpoints, janus)

        const wallMs = after.atMs - before.atMs
        const due = (participants * packetsPerSecond * wallMs) / 1000
        const received = after.received - before.received
        const sounding = (after.sounding - before.sounding) / received
        if (received > 0 && sounding < soundingMin)
            throw new Error(`Janus sends sound in ${(sounding * 100).toFixed(0)} % of its packets only`)
        const cpuUs = after.cpuUs - before.cpuUs
        return {
            load: cpuUs / (wallMs * 1000),
            usOfParticipantTick: cpuUs / due,
            // Of what Janus should send; and of what was sent to it.
            loss: Math.max(0, 1 - received / due, (after.dropped - before.dropped) / (after.sent - before.sent)),
        }
    } finally {
        await janus?.stop()
        endpoints.kill()
    }
}

async function count(endpoints: ReturnType<typeof startProcess>, janus: JanusServer) {
    return { ...(await countOf(endpoints)), cpuUs: janus.cpuUs(), dropped: janus.droppedDatagrams() }
}
