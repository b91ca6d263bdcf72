/**
 * What a stream of each codec costs, received, decoded, mixed, encoded and sent: the table of DSP units comes from here.
 *
 * `npm run bench -- dsp --write yes` writes it to servers/routing/media/dsp-table.json, to be committed. The codecs take turns in
 * short rounds and the median of the ratios counts: a machine that is busy for a while is busy for all. Processor time; what it takes to
 * receive and send a packet is measured beside it, over loopback, and is the same for all.
 */
import { writeFileSync } from "node:fs"
import { type CodecName, soundRate } from "../media/codec.ts"
import { codecs } from "../media/codecs.ts"
import { loadOpus } from "../media/opus.ts"
import { RtpHeader, readRtp } from "../media/rtp.ts"
import { openUdp, type UdpIo } from "../media/udp.ts"
import { Channel, tickMs } from "../servers/routing/media/channel.ts"
import { Mixer } from "../servers/routing/media/mixer.ts"
import { thisMachine } from "./figures.ts"
import { encodedSpeech, withHeader } from "./media/speech.ts"
import type { Bench } from "./run.ts"

const names: CodecName[] = ["pcmu", "opus"]
/** Everybody talks, four to a room: the dearest case, as nearly each of them needs an encode of their own. */
const rooms = 5
const members = 4
const ticksOfRound = 50
const rounds = 41
const packetsOfRound = 1000
/** Fewer than any socket holds: none is lost. */
const packetsAtOnce = 50

class Load {
    private readonly mixers: Mixer[] = []
    private readonly channels: { channel: Channel; offset: number; index: number }[] = []
    private readonly payloads: Uint8Array[]
    private readonly header = new RtpHeader()
    private readonly packet = Buffer.alloc(1500)
    private tick = 0

    constructor(private readonly name: CodecName) {
        this.payloads = encodedSpeech(codecs[name])
        for (let room = 0; room < rooms; room++) {
            const mixer = new Mixer()
            for (let member = 0; member < members; member++) {
                const index = room * members + member
                const channel = new Channel("leg", codecs[name], index + 1, 0, () => {})
                mixer.add(channel)
                this.channels.push({ channel, offset: index * 37, index })
            }
            this.mixers.push(mixer)
        }
    }

    /** Microseconds of processor time for a stream and tick. */
    round(): number {
        const before = process.cpuUsage()
        for (let i = 0; i < ticksOfRound; i++) this.run()
        const { user, system } = process.cpuUsage(before)
        return (user + system) / (ticksOfRound * rooms * members)
    }

    private run(): void {
        this.tick++
        const codec = codecs[this.name]
        for (const { channel, offset, index } of this.channels) {
            const payload = this.payloads[(this.tick + offset) % this.payloads.length]
            const bytes = withHeader(this.packet, codec, payload, this.tick, this.tick, index + 1)
            const packet = this.packet.subarray(0, bytes)
            if (readRtp(packet, this.header)) channel.receive(packet, this.header, this.tick * tickMs)
        }
        for (const mixer of this.mixers) mixer.tick(this.tick * tickMs + 5, this.tick)
    }
}

/** Microseconds of processor time to send a packet and to receive one. */
class Sockets {
    private received = 0
    private wake = () => {}
    private from!: UdpIo
    private to!: UdpIo
    private readonly packet = Buffer.alloc(172)

    async open(): Promise<void> {
        const from = await openUdp("127.0.0.1", 0, () => {})
        const to = await openUdp("127.0.0.1", 0, () => {
            this.received++
            this.wake()
        })
        if (!from.ok || !to.ok) throw new Error("no UDP on loopback")
        this.from = from.value
        this.to = to.value
    }

    async round(): Promise<number> {
        const before = process.cpuUsage()
        for (let sent = 0; sent < packetsOfRound; sent += packetsAtOnce) {
            this.received = 0
            const all = new Promise<void>(resolve => {
                this.wake = () => {
                    if (this.received === packetsAtOnce) resolve()
                }
            })
            for (let i = 0; i < packetsAtOnce; i++) this.from.send(this.packet, this.to.ip, this.to.port)
            await all
        }
        const { user, system } = process.cpuUsage(before)
        return (user + system) / packetsOfRound
    }

    async close(): Promise<void> {
        await this.from.close()
        await this.to.close()
    }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]

export const dspBench: Bench = {
    summary: "what a stream of each codec costs, from packet to packet: the table of DSP units",
    options: { write: "yes: writes servers/routing/media/dsp-table.json" },
    async run({ write }, progress) {
        await loadOpus()
        const loads = names.map(name => new Load(name))
        const sockets = new Sockets()
        await sockets.open()
        for (let i = 0; i < 20; i++) for (const load of loads) load.round()
        await sockets.round()
        const udp: number[] = []
        const costs: number[][] = names.map(() => [])
        const ratios: number[][] = names.map(() => [])
        for (let round = 0; round < rounds; round++) {
            const now = loads.map(load => load.round())
            const socketUs = await sockets.round()
            udp.push(socketUs)
            now.forEach((cost, index) => {
                costs[index].push(cost)
                ratios[index].push((cost + socketUs) / (now[0] + socketUs))
            })
        }
        await sockets.close()
        const figures: Record<string, number> = { udpUs: round2(median(udp)) }
        const units: Record<string, number> = {}
        names.forEach((name, index) => {
            const ratio = median(ratios[index])
            units[name] = Math.ceil(ratio - 0.001)
            figures[`${name}Us`] = round2(median(costs[index]))
            figures[`${name}Ratio`] = round2(ratio)
            figures[`${name}Units`] = units[name]
            progress(
                `${name}: ${figures[`${name}Us`]} us a stream and tick, with UDP ${figures[`${name}Ratio`]} times PCMU`,
            )
        })
        if (write === "yes") {
            const { cpu, node } = thisMachine()
            const us = Object.fromEntries([...names, "udp"].map(name => [name, figures[`${name}Us`]]))
            const measured = { us, cpu, node }
            const file = new URL("../servers/routing/media/dsp-table.json", import.meta.url)
            writeFileSync(file, `${JSON.stringify({ units, measured, soundRate }, null, 4)}\n`)
            progress(`written to ${file.pathname}`)
        }
        return { figures, seed: null }
    },
}

function round2(value: number): number {
    return Math.round(value * 100) / 100
}
