/**
 * Rooms at media planes in a chain, in virtual time: real planes, real media engines, the networks between them emulated.
 * Owns nothing that outlives a test: `end` closes everything.
 */

import assert from "node:assert/strict"
import { type CodecName, soundRate } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import type { Stretch } from "../../media/measure.ts"
import { MediaPlane, type SessionKeys } from "../../servers/routing/media/plane.ts"
import { Engine } from "../../sim/media-engine/engine.ts"
import { Path, VirtualMedia, type Way } from "../../sim/world/media-host.ts"
import { legKeys, sessionKeys } from "./keys.ts"

export interface ChainOptions {
    seed: number
    /** Each is a server with one room. */
    names: readonly string[]
    legs?: Way
    links?: Way
    legCodec?: CodecName
    linkCodec?: CodecName
    recordSeconds?: number
    /** Of the room's sound card. */
    ppmOf?: (index: number) => number
}

const session = "s1"

export interface ChainRoom {
    name: string
    plane: MediaPlane
    engine: Engine
}

export class Chain {
    readonly world: VirtualMedia
    readonly rooms: ChainRoom[] = []
    private readonly paths = new Map<string, Path>()
    private readonly transits = new Set<number>()

    private constructor(private readonly options: ChainOptions) {
        this.world = new VirtualMedia(options.seed)
    }

    static async start(options: ChainOptions): Promise<Chain> {
        const chain = new Chain(options)
        for (let index = 0; index < options.names.length; index++) await chain.addRoom(index)
        for (let index = 1; index < options.names.length; index++) chain.link(index - 1, index)
        return chain
    }

    get nowMs(): number {
        return this.world.agenda.nowMs
    }

    pass(ms: number): void {
        this.world.agenda.runUntil(this.nowMs + ms)
    }

    /** The tree leads over this link from now on. */
    link(a: number, b: number): void {
        this.plant(a, b)
        this.plant(b, a)
    }

    unlink(a: number, b: number): void {
        this.cut(a, b)
        this.cut(b, a)
    }

    /** One end of a link: `at` has it in its tree from now on. */
    plant(at: number, to: number): void {
        const { names, linkCodec: codec = "pcmu" } = this.options
        const [labelOut, labelIn] = [this.labelOf(at, to), this.labelOf(to, at)]
        const link = { session, peer: names[to]!, labelOut, labelIn, codec }
        assert.ok(this.rooms[at]!.plane.addLink(link).ok, "linked")
    }

    cut(at: number, to: number): void {
        assert.ok(this.rooms[at]!.plane.removeLink(session, this.options.names[to]!), "unlinked")
    }

    say(index: number, samples: Int16Array, loop = false): Stretch {
        const leadMs = 100
        this.rooms[index]!.engine.microphone.start(samples, loop, (leadMs * soundRate) / 1000)
        return { atMs: this.nowMs + leadMs, samples }
    }

    /** What a room has played since then. */
    heardSince(index: number, atMs: number): Stretch {
        const last = this.rooms[index]!.engine.played.stretchesKept().at(-1)
        assert.ok(last && last.atMs <= atMs, "it has played all the time")
        return { atMs, samples: last.samples.subarray(Math.round(((atMs - last.atMs) * soundRate) / 1000)) }
    }

    join(index: number): void {
        const { plane, engine, name } = this.rooms[index]!
        const codec = this.options.legCodec ?? "pcmu"
        const keys = legKeys(index + 1)
        const { ip: remoteIp, port: remotePort } = engine.address
        const ssrc = index + 1
        assert.ok(
            plane.addLeg({ session, endpoint: `ep-${name}`, ssrc, remoteIp, remotePort, codec, keys }).ok,
            "joined",
        )
        const { payloadType } = codecs[codec]
        engine.open({ ssrc, ip: ipOf(index), port: 7000, payloadType, frameMs: 20, keys })
        engine.muted = false
        engine.volume = 100
    }

    leave(index: number): void {
        const { plane, engine } = this.rooms[index]!
        engine.close()
        assert.ok(plane.removeLeg(index + 1), "it had a leg")
    }

    async end(): Promise<void> {
        for (const { plane, engine } of this.rooms) {
            await engine.stop()
            await plane.close()
        }
    }

    private async addRoom(index: number): Promise<void> {
        const { names, legs, seed, recordSeconds = 30, ppmOf = () => 0 } = this.options
        const name = names[index]!
        const plane = new MediaPlane({
            ...{ ip: ipOf(index), port: 7000, loadPercent: () => 0, host: this.world },
            sendOnLink: (peer, label, packet) => this.carry(index, peer, label, packet),
        })
        const engineIp = `127.30.1.${index + 1}`
        if (legs) this.world.ways.set(engineIp, legs)
        const engine = new Engine({
            ...{ ipAddress: engineIp, port: 0, recordSeconds, clockPpm: ppmOf(index), host: this.world },
            underlay: { delaysMs: {}, jitterMs: 0, lossPercent: 0, seed: 1 },
            onEvent: () => {},
        })
        // Their clocks do not tick together.
        this.pass(((seed * 7 + index * 13) % 40) / 2)
        assert.ok((await plane.start()).ok && (await engine.start()).ok, "started")
        const keys: SessionKeys = sessionKeys(name, names)
        plane.setSessionKeys(session, keys)
        this.rooms.push({ name, plane, engine })
        this.join(index)
    }

    /** Whoever is in transit mixes nothing: what comes from one neighbour goes to the other as it came. */
    setTransit(at: number, on: boolean): void {
        const neighbours = [at - 1, at + 1]
        if (on) for (const to of neighbours) this.cut(at, to)
        this.transits[on ? "add" : "delete"](at)
        if (!on) for (const to of neighbours) this.plant(at, to)
    }

    private labelOf(from: number, to: number): number {
        return 1 + from * this.options.names.length + to
    }

    private arrive(from: number, to: number, label: number, packet: Buffer): void {
        const { names } = this.options
        const next = 2 * to - from
        if (this.transits.has(to)) this.carry(to, names[next]!, this.labelOf(to, next), packet)
        else this.rooms[to]?.plane.receiveFromLink(names[from]!, label, packet)
    }

    private carry(from: number, peer: string, label: number, packet: Buffer): void {
        const to = this.options.names.indexOf(peer)
        const way = `${from} ${to}`
        let path = this.paths.get(way)
        if (!path) {
            path = new Path(
                this.world.agenda,
                () => this.options.links ?? perfect,
                this.options.seed + 104_729 * (this.paths.size + 1),
            )
            this.paths.set(way, path)
        }
        const copy = Buffer.from(packet)
        path.pass(() => this.arrive(from, to, label, copy))
    }
}

const perfect: Way = { delayMs: 0, jitterMs: 0, loss: 0 }

function ipOf(index: number): string {
    return `127.30.0.${index + 1}`
}
