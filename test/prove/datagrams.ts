/**
 * Hostile datagrams against the media port and the link port of a real routing server process: from strangers, from the
 * addresses of a real leg and of a real neighbour, and from a neighbour that has the keys and seals what it likes.
 *
 * First at 5 000 a second beside a conversation, of which nothing may be lost; then as fast as they can be sent. The server must
 * be there afterwards, its memory as before, and the conversation as well.
 */

import { createSocket, type Socket } from "node:dgram"
import { resolve } from "node:path"
import { performance } from "node:perf_hooks"
import { raisePriority } from "../../media/priority.ts"
import { writeRtp } from "../../media/rtp.ts"
import { datagramHeaderBytes, datagramKinds, helloBodyBytes } from "../../protocol/link.ts"
import { probeAsks, probeBytes, writeProbe } from "../../protocol/probe.ts"
import { writeRouted } from "../../protocol/routed.ts"
import { writeTrainPacket } from "../../protocol/train.ts"
import { blank, type DatagramKeys, seal, writeHello } from "../../servers/routing/link/datagram.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { dial, type Meeting } from "../../servers/routing/link/meeting.ts"
import { legKeys, Protector } from "../media/keys.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { type Child, startScript } from "../support/child.ts"
import { eventually } from "../support/deadline.ts"
import { type SeededRandom, seededRandom } from "../support/random.ts"
import type { DatagramPlan, DatagramReport } from "./datagram-server.ts"

// Other work on this machine must not look like harm done by the hostile ones.
raisePriority()

const script = resolve(import.meta.dirname, "datagram-server.ts")
const besidePerSecond = 5000
const tickMs = 20
const frameBytes = 160
/** What may be on its way at once when nothing else limits: more is lost in the system before the server sees it. */
const burst = 64
/** Then the server may catch up. */
const series = 4096
const samplesInRun = 40

export interface DatagramsOptions {
    count: number
    seed: number
    progress(line: string): void
}

export interface DatagramsFigures {
    datagrams: number
    /** Those that the server has read. */
    read: number
    crashes: number
    /** Beside the conversation, and in all: at the highest rate this machine may not be there for its own hellos. */
    linkLossesBeside: number
    linkLosses: number
    acceptedOfNeighbour: number
    /** Of the conversation, beside the hostile ones and afterwards. */
    legitimateSent: number
    legitimateLost: number
    legitimateConcealed: number
    legitimateHeard: number
    /** Least of the last quarter less least of the second one. */
    rssGrowthBytes: number
    nativeGrowthBytes: number
    heapGrowthBytes: number
    dataHeapGrowthBytes: number
    [name: string]: number
}

export async function proveDatagrams({ count, seed, progress }: DatagramsOptions): Promise<DatagramsFigures> {
    const random = seededRandom(seed)
    const bed = await Bed.start()
    try {
        const hostile = new Hostile(bed, random)
        const beside = Math.min(count, Math.max(10_000, Math.min(100_000, Math.floor(count / 5))))
        progress(`${beside} datagrams beside a conversation, ${besidePerSecond} a second`)
        await bed.talk(beside / besidePerSecond, () => hostile.send())
        const during = await bed.report()
        const lossesBeside = bed.linkLosses
        const memory: DatagramReport[] = []
        let sent = beside
        while (sent < count) {
            const most = Math.min(count, sent + Math.max(1, Math.floor((count - beside) / samplesInRun)))
            while (sent < most) {
                const readBefore = readOf(await bed.report())
                const sentBefore = sent
                for (; sent < most && sent - sentBefore < series; sent += burst) {
                    for (let i = 0; i < burst; i++) hostile.send()
                    await turn()
                }
                await bed.keepUp(sent - sentBefore, readBefore)
            }
            memory.push(await bed.report())
            if (memory.length % 5 === 0) progress(`${sent} datagrams, ${mib(memory.at(-1)!.rssBytes)} MiB`)
        }
        progress("the conversation again, alone")
        await bed.quiet()
        await bed.talk(2)
        const after = await bed.report()
        const leg = (report: DatagramReport) =>
            report.statistics.media.legs.find(each => each.ssrc === bed.talker.ssrc)!
        const growth = (of: (report: DatagramReport) => number) => {
            const quarter = memory.length >> 2
            if (quarter === 0) return 0
            const least = (from: number, to: number) => Math.min(...memory.slice(from, to).map(of))
            return Math.round(least(-quarter, memory.length) - least(quarter, 2 * quarter))
        }
        const { counters } = after.statistics
        const link = Object.values(counters)[0]
        return {
            datagrams: sent,
            read: readOf(after),
            crashes: bed.hasEnded ? 1 : 0,
            linkLossesBeside: lossesBeside,
            linkLosses: bed.linkLosses,
            legitimateSent: bed.talked,
            legitimateLost: leg(after).lost,
            legitimateConcealed: leg(after).concealed,
            legitimateConcealedBeside: leg(during).concealed,
            legitimateHeard: bed.heard,
            forged: link.forged,
            replayed: link.replayed,
            malformedOfNeighbour: link.malformed,
            acceptedOfNeighbour: link.received,
            droppedLate: link.late,
            rssGrowthBytes: growth(report => report.rssBytes),
            nativeGrowthBytes: growth(report => report.nativeBytes),
            heapGrowthBytes: growth(report => report.heapBytes),
            dataHeapGrowthBytes: growth(report => report.statistics.heapBytes),
        }
    } finally {
        await bed.stop()
    }
}

/** What the figures break, or "". The memory of a short run is that of a process that still warms up. */
export function wrongWithDatagrams(figures: Record<string, number>): string {
    const {
        datagrams,
        read,
        crashes,
        linkLossesBeside,
        acceptedOfNeighbour,
        legitimateSent,
        legitimateLost,
        legitimateConcealed,
        legitimateHeard,
    } = figures
    const problems: string[] = []
    if (crashes > 0) problems.push("the server has ended")
    if (linkLossesBeside > 0) problems.push(`${linkLossesBeside} times the link was lost beside the conversation`)
    // Else it was not they that did no harm: they were not there.
    if (read < datagrams * 0.9) problems.push(`only ${read} of ${datagrams} datagrams were read`)
    if (acceptedOfNeighbour < datagrams * 0.1) problems.push(`only ${acceptedOfNeighbour} were the neighbour's own`)
    if (legitimateLost > 0) problems.push(`${legitimateLost} packets of the conversation lost`)
    // Each time that somebody stops talking a few frames are made up, before the pause is known for one.
    if (legitimateConcealed > 10 + legitimateSent * 0.02) problems.push(`${legitimateConcealed} frames concealed`)
    if (legitimateHeard < legitimateSent * 0.95) problems.push(`${legitimateHeard} of ${legitimateSent} frames heard`)
    // In the whole of it is what the engine holds for its heaps, used or not, which grows in steps and has an end.
    const bounds = datagrams >= 1_000_000 ? { rss: 32 << 20, own: 8 << 20 } : { rss: 96 << 20, own: 32 << 20 }
    for (const [name, most] of [
        ["rssGrowthBytes", bounds.rss],
        ["nativeGrowthBytes", bounds.own],
        ["heapGrowthBytes", bounds.own],
        ["dataHeapGrowthBytes", bounds.own],
    ] as const)
        if (figures[name] > most) problems.push(`${name} ${mib(figures[name])} MiB, allowed ${mib(most)}`)
    return problems.join("; ")
}

interface End {
    ssrc: number
    socket: Socket
    ip: string
    port: number
    protector: Protector
}

/** The server, its neighbour with a real link, two legs that talk, and one that is up to no good. */
class Bed {
    talked = 0
    heard = 0
    linkLosses = 0
    hasEnded = false
    neighbour!: Socket
    keys!: DatagramKeys
    sequence = 0
    talker!: End
    villain!: End
    listener!: End
    mediaPort = 0
    linkPort = 0
    ip = loopbackAddress()
    #server!: Child
    isLost = false
    #dial: () => Promise<void> = () => Promise.resolve()
    #channel: (Meeting & { ok: true })["channel"] | undefined
    #hellos: NodeJS.Timeout | undefined
    #helloNumber = 0
    #frame = 0
    #timestamp = 0

    static async start(): Promise<Bed> {
        const bed = new Bed()
        const [talker, listener, villain] = [await end(1001), await end(1002), await end(1003)]
        Object.assign(bed, { talker, listener, villain })
        const identity = createIdentity("rs-a", Date.now())
        const ip = loopbackAddress()
        bed.neighbour = await bound(ip)
        const linkPort = bed.neighbour.address().port
        const leg = ({ ssrc, ip: remoteIp, port: remotePort }: End, session: string) => {
            return { session, endpoint: `ep-${ssrc}`, ssrc, remoteIp, remotePort, key: ssrc % 256 }
        }
        const plan: DatagramPlan = {
            ip: bed.ip,
            neighbour: { rs: "rs-a", ip, linkPort, mediaPort: linkPort, fingerprint: identity.fingerprint, static: 1 },
            legs: [leg(talker, "talk"), leg(listener, "talk"), leg(villain, "hostile")],
            links: [{ session: "hostile", peer: "rs-a", labelIn: 5, labelOut: 6 }],
            // Out of the door that it came in by is no transit: the second neighbour is one that is never there.
            transit: [
                { peer: "rs-a", labelIn: 7, labelOut: 8 },
                { peer: "rs-b", labelIn: 7, labelOut: 8 },
            ],
        }
        bed.#server = await startScript(script, [JSON.stringify(plan)], { readyMs: 60_000, stdin: "pipe" })
        void bed.#server.exited.then(() => {
            bed.hasEnded = true
        })
        const { mediaPort, linkPort: far, fingerprint } = bed.#server.ready
        bed.mediaPort = mediaPort
        bed.linkPort = far
        bed.#dial = async () => {
            const self = { id: "rs-a", bootId: 1, ip, identity }
            const peer = { rs: "rs-z", ip: bed.ip, linkPort: far, fingerprint }
            const meeting = await new Promise<Meeting>(resolve => dial(self, peer, resolve))
            if (!meeting.ok) throw new Error(meeting.what)
            bed.sequence = 0
            bed.keys = meeting.keys
            bed.#channel = meeting.channel
            meeting.channel.onMessage = () => {}
            meeting.channel.onClosed = () => {
                bed.linkLosses++
                bed.isLost = true
            }
            bed.hello()
            meeting.channel.send({ k: "neighbour", on: 1 })
            await eventually(async () => (await bed.report()).adjacent, "the neighbour to be one", 30_000)
            bed.isLost = false
        }
        await bed.#dial()
        bed.#hellos = setInterval(() => bed.hello(), 50)
        listener.socket.on("message", () => bed.heard++)
        // Only whoever has sent hears: then the conversation begins.
        bed.#say(listener, 0)
        return bed
    }

    /** Waits until the server has read nearly all of `sent` since it had read `readBefore`; has the link again when it was lost. */
    async keepUp(sent: number, readBefore: number): Promise<void> {
        const endMs = performance.now() + 1000
        while (readOf(await this.report()) - readBefore < sent - burst && performance.now() < endMs) await turn()
        if (this.isLost) await this.#dial()
    }

    hello(): void {
        const datagram = blank(helloBodyBytes)
        writeHello(datagram, {
            ...{ bootId: 1, number: ++this.#helloNumber, sentUs: 0 },
            echo: { sentUs: 0, heldUs: 0 },
        })
        this.sealed(datagramKinds.hello, datagram)
    }

    sealed(kind: number, datagram: Buffer): void {
        seal(datagram, this.keys.send, kind, ++this.sequence)
        this.neighbour.send(datagram, this.linkPort, this.ip)
    }

    /** One talks for so long, 50 packets a second; `beside` is called at its own rate meanwhile. */
    async talk(seconds: number, beside?: () => void): Promise<void> {
        const startMs = performance.now()
        let frames = 0
        let besides = 0
        for (;;) {
            const passedMs = performance.now() - startMs
            if (passedMs >= seconds * 1000) break
            for (; frames * tickMs <= passedMs; frames++) {
                this.#say(this.talker, this.#frame++)
                this.talked++
            }
            const due = beside ? (passedMs * besidePerSecond) / 1000 : 0
            for (let i = 0; besides < due && i < burst; i++, besides++) beside?.()
            await turn()
        }
        await this.quiet()
    }

    /** The server has read everything that was sent to its media port. */
    async quiet(): Promise<void> {
        let before = -1
        await eventually(async () => {
            const { received } = (await this.report()).statistics.media.datagrams
            const isQuiet = received === before
            before = received
            return isQuiet
        }, "the server to have read everything")
    }

    async report(): Promise<DatagramReport> {
        const { process: child, lines } = this.#server
        const before = lines.length
        child.stdin?.write("\n")
        await eventually(() => {
            if (this.hasEnded) throw new Error(`the server has ended: ${this.#server.stderr().slice(-2000)}`)
            return lines.length > before
        }, "the server to answer")
        const report = JSON.parse(lines[before]) as DatagramReport
        lines.length = 0
        return report
    }

    async stop(): Promise<void> {
        clearInterval(this.#hellos)
        if (this.#channel) this.#channel.onClosed = () => {}
        this.#channel?.close("shutdown")
        await this.#server?.kill()
        for (const socket of [this.neighbour, this.talker.socket, this.listener.socket, this.villain.socket])
            socket?.close()
    }

    #say({ socket, ssrc, protector }: End, frame: number): void {
        const packet = Buffer.alloc(12 + frameBytes, frame % 2 === 0 ? 0x10 : 0x90)
        writeRtp(packet, frame === 0, 0, frame & 0xffff, this.#timestamp, ssrc)
        if (ssrc === this.talker.ssrc) this.#timestamp = (this.#timestamp + frameBytes) >>> 0
        socket.send(protector.of(packet), this.mediaPort, this.ip)
    }
}

/** Draws hostile datagrams, each by a sender that may be anybody. */
class Hostile {
    readonly #bed: Bed
    readonly #random: SeededRandom
    readonly #strangers: Socket[] = []
    #lastSealed: Buffer | undefined
    readonly #noise: Buffer
    readonly #ofNeighbour = Protector.ofServer("rs-a")

    constructor(bed: Bed, random: SeededRandom) {
        this.#bed = bed
        this.#random = random
        this.#noise = random.bytes(65_536)
        for (let i = 0; i < 3; i++) {
            const socket = createSocket("udp4")
            socket.bind(0, loopbackAddress())
            socket.unref()
            socket.on("error", () => {})
            this.#strangers.push(socket)
        }
    }

    send() {
        const random = this.#random
        const { mediaPort, linkPort, ip, neighbour, villain } = this.#bed
        switch (random.int(0, 5)) {
            case 0:
                return random.pick(this.#strangers).send(this.#anything(), mediaPort, ip)
            case 1:
                return random.pick(this.#strangers).send(this.#anything(), linkPort, ip)
            case 2:
                return villain.socket.send(
                    random.chance(0.5) ? this.#protectedRtp(villain.protector) : this.#anything(),
                    mediaPort,
                    ip,
                )
            case 3:
                return neighbour.send(random.chance(0.5) ? this.#forged() : this.#anything(), linkPort, ip)
            case 4:
                return neighbour.send(random.chance(0.7) ? this.#server() : this.#anything(), mediaPort, ip)
            default:
                return this.#sealed()
        }
    }

    #anything(): Buffer {
        const random = this.#random
        switch (random.int(0, 4)) {
            case 0:
                return this.#bytes(random.int(0, 64))
            case 1:
                return this.#bytes(random.pick([12, 27, 28, 32, 172, 1200, 1432, 1433, 1500, 2048, 9000]))
            case 2:
                return this.#mangled(this.#rtp())
            case 3:
                return this.#mangled(this.#server())
            default:
                return this.#mangled(this.#forged())
        }
    }

    /** RTP of the villain's leg, or of the neighbour on a link: half of it under the right key, jumping ahead at will. */
    #protectedRtp(protector: Protector): Buffer {
        const random = this.#random
        const plain = this.#rtp()
        if (random.chance(0.5) || plain.length < 12) return plain
        if (random.chance(0.05)) protector.skip(random.int(1, 30_000))
        return protector.of(plain)
    }

    /** Any sequence, any time, any length. */
    #rtp(): Buffer {
        const random = this.#random
        const packet = this.#bytes(12 + random.pick([0, 1, 80, 159, 160, 161, 320, 1400]))
        const ssrc = random.chance(0.9) ? this.#bed.villain.ssrc : random.int(0, 0xffffffff)
        writeRtp(
            packet,
            random.chance(0.1),
            random.pick([0, 0, 0, 8, 13, 96, 111, 127]),
            random.int(0, 65535),
            random.int(0, 0xffffffff),
            ssrc,
        )
        return random.chance(0.3) ? this.#mangled(packet) : packet
    }

    /** What other servers and endpoints ask of the media port. */
    #server(): Buffer {
        const random = this.#random
        if (random.chance(0.5)) {
            const probe = this.#bytes(probeBytes)
            writeProbe(probe, { kind: probeAsks, load: 0, sequence: random.int(0, 9), tag: random.int(0, 0xffffffff) })
            return probe
        }
        const count = random.int(2, 48)
        return writeTrainPacket({ index: random.int(0, count - 1), count, tag: random.int(0, 50) })
    }

    /** From the neighbour's address under its link's id: another tag, an old datagram, or one changed bit. */
    #forged(): Buffer {
        const random = this.#random
        if (this.#lastSealed && random.chance(0.5))
            return random.chance(0.5) ? this.#lastSealed : this.#mangled(this.#lastSealed)
        const { linkId } = this.#bed.keys.send
        const datagram = blank(random.int(0, 1404))
        datagram.set(this.#bytes(datagram.length))
        const header = Buffer.from([0x60 | random.int(0, 15), 2, 0, 0, 0, 0])
        header.writeUInt32BE(linkId, 2)
        datagram.set(header)
        return datagram
    }

    /** Sealed with the right key: any kind, any body. Only the boot id is right, or the link would end as it must. */
    #sealed(): void {
        const random = this.#random
        const kind = random.pick([...Object.values(datagramKinds), random.int(0, 15)])
        const body = this.#bodyOf(kind)
        const datagram = blank(body.length)
        datagram.set(body, datagramHeaderBytes)
        // Sequences jump ahead, as after loss; never so far that they run out.
        if (random.chance(0.01)) this.#bed.sequence += random.int(1, 3000)
        this.#bed.sealed(kind, datagram)
        if (random.chance(0.1)) this.#lastSealed = datagram
    }

    #bodyOf(kind: number): Buffer {
        const random = this.#random
        const length = random.chance(0.5) ? random.int(0, 40) : random.int(0, 1404)
        const body = this.#bytes(length)
        if (kind === datagramKinds.hello) {
            const hello = this.#bytes(random.chance(0.8) ? helloBodyBytes : length)
            if (hello.length >= 4) hello.writeUInt32BE(1, 0)
            return hello
        }
        if (kind === datagramKinds.media && body.length >= 4) {
            body.writeUInt32BE(random.pick([5, 7, 8, random.int(0, 0xffffffff)]), 0)
            const rtp = this.#protectedRtp(this.#ofNeighbour)
            return random.chance(0.5) ? Buffer.concat([body.subarray(0, 4), rtp]) : body
        }
        if (kind === datagramKinds.routed && random.chance(0.7)) {
            const to = random.pick(["rs-z", "rs-a", "rs-nobody"])
            const numbers = { ttl: random.int(0, 255), kind: random.int(0, 3), hops: random.int(0, 255), hopsAsked: 0 }
            const routed = writeRouted({ ...numbers, number: random.int(0, 0xffffffff), from: "rs-a", to })
            return random.chance(0.3) ? this.#mangled(routed) : routed
        }
        return body
    }

    #mangled(datagram: Buffer): Buffer {
        const random = this.#random
        const copy = Buffer.from(datagram)
        switch (random.int(0, 2)) {
            case 0:
                return copy.subarray(0, random.int(0, copy.length))
            case 1:
                return Buffer.concat([copy, this.#bytes(random.int(1, 64))])
            default:
                for (let i = random.int(1, 8); i > 0 && copy.length > 0; i--)
                    copy[random.int(0, copy.length - 1)] ^= 1 << random.int(0, 7)
                return copy
        }
    }

    /** Drawn once and cut from anywhere: drawing each byte would take longer than sending it. */
    #bytes(count: number): Buffer {
        const from = this.#random.int(0, this.#noise.length - count)
        return Buffer.from(this.#noise.subarray(from, from + count))
    }
}

async function end(ssrc: number): Promise<End> {
    const ip = loopbackAddress()
    const socket = await bound(ip)
    const protector = Protector.ofEndpoint(legKeys(ssrc % 256))
    return { ssrc, socket, ip, port: socket.address().port, protector }
}

function bound(ip: string): Promise<Socket> {
    const socket = createSocket({ type: "udp4", lookup: (host, _options, call) => call(null, host, 4) })
    socket.on("error", () => {})
    return new Promise(done => socket.bind(0, ip, () => done(socket)))
}

function readOf({ statistics }: DatagramReport): number {
    const { media, stray, counters } = statistics
    let read = media.datagrams.received + stray
    for (const { received, forged, replayed, late } of Object.values(counters))
        read += received + forged + replayed + late
    return read
}

function turn(): Promise<void> {
    return new Promise(done => setImmediate(done))
}

function mib(bytes: number): number {
    return Math.round(bytes / 1_048_576)
}
