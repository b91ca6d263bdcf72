import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, type TestContext, test } from "node:test"
import { levelDb } from "../../media/level.ts"
import { measure } from "../../media/measure.ts"
import { loadWav } from "../../media/wav.ts"
import { ipv4ToInt } from "../../protocol/text.ts"
import { createMediaEngine, type MediaEngineOptions } from "../../sim/media-engine/index.ts"
import { jacdac } from "../../sim/media-engine/jacdac.ts"
import { mediaEngineClass, mediaEngineCodes } from "../../sim/media-engine/server.ts"
import { legKeys, legKeyText } from "./keys.ts"
import { part, rate, readSpeech, speechFile } from "./speech.ts"
import { passes, startPlanes } from "./support.ts"

const { registers, commands, events } = mediaEngineCodes

/** A media engine on a Jacdac bus of its own, seen through the packets that a firmware would send and receive. */
async function startBoard(context: TestContext, ip: string, options: Partial<MediaEngineOptions> = {}) {
    const engine = createMediaEngine({ ipAddress: ip, port: 0, ...options })
    const bus = new jacdac.JDBus([], { client: false, disableRoleManager: true })
    const provider = new jacdac.JDServerServiceProvider("media", [engine.server])
    const reports = new Map<number, Uint8Array>()
    const raised: [code: number, data: Uint8Array][] = []
    let wake = () => {}
    const send = provider.sendPacketAsync.bind(provider)
    let lastEvent = -1
    provider.sendPacketAsync = async packet => {
        if (packet.isRegisterGet) reports.set(packet.registerIdentifier, packet.data)
        if (packet.isEvent && packet.eventCounter !== lastEvent) {
            lastEvent = packet.eventCounter
            raised.push([packet.eventCode, packet.data])
        }
        wake()
        await send(packet)
    }
    bus.addServiceProvider(provider)
    bus.start()
    const started = await engine.start()
    assert.ok(started.ok, "started")
    context.after(async () => {
        await engine.stop()
        bus.stop()
        bus.dispose()
    })
    const handle = (command: number, data: Uint8Array) => {
        const packet = jacdac.Packet.from(command, data)
        packet.serviceIndex = 1
        packet.deviceIdentifier = provider.deviceId
        packet.isCommand = true
        return engine.server.handlePacket(packet)
    }
    return {
        engine,
        port: started.value.port,
        command: (code: number, format = "", values: (number | string)[] = []) =>
            handle(code, format ? jacdac.jdpack(format, values) : new Uint8Array(0)),
        raw: handle,
        write: (code: number, ...bytes: number[]) => handle(jacdac.CMD_SET_REG | code, Uint8Array.from(bytes)),
        async read(code: number, format: string): Promise<number[]> {
            reports.delete(code)
            await handle(jacdac.CMD_GET_REG | code, new Uint8Array(0))
            const data = reports.get(code)
            assert.ok(data, `register ${code.toString(16)} was reported`)
            return jacdac.jdunpack(data, format)
        },
        async event(code: number, format: string): Promise<number[]> {
            const deadline = AbortSignal.timeout(30_000)
            for (;;) {
                const index = raised.findIndex(([raisedCode]) => raisedCode === code)
                if (index >= 0) return jacdac.jdunpack(raised.splice(index, 1)[0]![1], format)
                await new Promise<void>((resolve, reject) => {
                    wake = resolve
                    deadline.addEventListener("abort", () => reject(new Error(`no event ${code.toString(16)}`)))
                })
            }
        },
    }
}

const openFormat = "u32 u32 u16 u8 u8 s"

describe("the media engine over Jacdac", { concurrency: true }, () => {
    test("is what its specification says: registers, their sizes, commands and events", () => {
        const spec = jacdac.serviceSpecificationFromClassIdentifier(mediaEngineClass)
        createMediaEngine({ ipAddress: "127.0.0.1", port: 0 })
        const known = spec ?? jacdac.serviceSpecificationFromClassIdentifier(mediaEngineClass)!
        const named = (kinds: string[]) =>
            Object.fromEntries(
                known.packets
                    .filter(packet => kinds.includes(packet.kind) && !packet.derived)
                    .map(packet => [
                        packet.name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
                        packet.identifier,
                    ]),
            )
        assert.deepEqual(named(["rw", "ro", "const"]), registers)
        assert.deepEqual(named(["command"]), commands)
        assert.deepEqual(named(["event"]), events)
    })

    test("starts muted, closed and at volume 50, and tells its address", async context => {
        const board = await startBoard(context, "127.9.30.1")
        assert.deepEqual(await board.read(registers.muted, "u8"), [1])
        assert.deepEqual(await board.read(registers.volume, "u8"), [50])
        assert.deepEqual(await board.read(registers.state, "u8"), [0])
        assert.deepEqual(await board.read(registers.address, "u32 u16"), [ipv4ToInt("127.9.30.1"), board.port])
        assert.deepEqual(await board.read(registers.levels, "i8 i8"), [-127, -127])
        assert.deepEqual(await board.read(registers.statistics, "u32 u32 u32 u32 u32 u32 u32"), [0, 0, 0, 0, 0, 0, 0])
    })

    test("lifts a mute by a write and by nothing else", async context => {
        const board = await startBoard(context, "127.9.31.1")
        const isMuted = async () =>
            (await board.read(registers.muted, "u8"))[0] === 1 && board.engine.statistics().muted
        await board.command(commands.open, openFormat, [1, ipv4ToInt("127.9.31.9"), 7500, 0, 20, legKeyText()])
        assert.deepEqual(await board.read(registers.state, "u8"), [1])
        await board.command(commands.close)
        await board.command(commands.close)
        assert.deepEqual(await board.read(registers.state, "u8"), [0])
        assert.equal(await isMuted(), true)
        await board.write(registers.muted)
        await board.write(registers.muted, 0, 0)
        assert.equal(await isMuted(), true, "a write of the wrong length is none")
        await board.write(registers.muted, 0)
        assert.equal(await isMuted(), false)
        await board.write(registers.muted, 255)
        assert.equal(await isMuted(), true)
        await board.write(registers.muted, 0)
        await board.engine.stop()
        await board.engine.start()
        assert.equal(await isMuted(), true, "after a restart it is muted again")
        await board.write(registers.volume, 200)
        assert.deepEqual(await board.read(registers.volume, "u8"), [100])
        await board.write(registers.volume, 30)
        assert.equal(board.engine.statistics().volume, 30)
    })

    test("probes a routing server, with the delay of its way there, and tells a silent one", async context => {
        const [plane] = await startPlanes(context, ["127.9.32.11"], () => 64)
        const board = await startBoard(context, "127.9.32.1", { delaysMs: { "127.9.32.11": 20 } })
        const target = [ipv4ToInt("127.9.32.11"), plane!.port, 3]
        await board.command(commands.probe, "u32 u32 u16 u8", [77, ...target])
        const [tag, minRttUs, jitterUs, answered, load] = await board.event(events.probed, "u32 u32 u32 u8 u8")
        assert.deepEqual([tag, answered, load], [77, 3, 64])
        // The emulated network lets a datagram go up to half a millisecond early, and says of one that comes when it was due.
        assert.ok(minRttUs! >= 39_500 && minRttUs! < 250_000, `${minRttUs} us`)
        assert.ok(jitterUs! < 400_000, `${jitterUs} us`)
        await board.command(commands.probe, "u32 u32 u16 u8", [78, ipv4ToInt("127.9.32.99"), 7500, 2])
        assert.deepEqual(await board.event(events.probed, "u32 u32 u32 u8 u8"), [78, 0, 0, 0, 0])
    })

    test("tells that the watched server is lost, and found again", async context => {
        const first = (await startPlanes(context, ["127.9.33.11"]))[0]!
        const board = await startBoard(context, "127.9.33.1")
        const ip = ipv4ToInt("127.9.33.11")
        await board.command(commands.watch, "u32 u16 u16", [ip, first.port, 100])
        await board.command(commands.probe, "u32 u32 u16 u8", [1, ip, first.port, 1])
        await board.event(events.probed, "u32 u32 u32 u8 u8")
        await first.plane.close()
        assert.deepEqual(await board.event(events.watchLost, "u32 u16"), [ip, first.port])
        const socket = createSocket("udp4")
        context.after(() => void socket.close())
        socket.on("message", (bytes, from) => {
            bytes[5] = 2
            socket.send(bytes, from.port, from.address)
        })
        socket.bind(first.port, "127.9.33.11")
        await once(socket, "listening")
        assert.deepEqual(await board.event(events.watchFound, "u32 u16"), [ip, first.port])
    })

    test("tells that a leg is lost after 2 s of silence, or at once when it cannot be carried", async context => {
        const board = await startBoard(context, "127.9.34.1")
        await board.command(commands.open, openFormat, [9, ipv4ToInt("127.9.34.11"), 7500, 8, 20, legKeyText()])
        assert.deepEqual(await board.event(events.legLost, "u32"), [9])
        assert.deepEqual(await board.read(registers.state, "u8"), [0])
        const startMs = performance.now()
        await board.command(commands.open, openFormat, [10, ipv4ToInt("127.9.34.11"), 7500, 0, 20, legKeyText()])
        assert.deepEqual(await board.event(events.legLost, "u32"), [10])
        const tookMs = performance.now() - startMs
        assert.ok(tookMs >= 1990 && tookMs < 6000, `${tookMs} ms`)
    })

    test("ignores commands that are cut short", async context => {
        const board = await startBoard(context, "127.9.35.1")
        for (const code of [...Object.values(commands), 0x90])
            for (const bytes of [0, 1, 3, 7]) await board.raw(code, new Uint8Array(bytes).fill(255))
        assert.deepEqual(await board.read(registers.state, "u8"), [0])
    })

    test("plays a WAV file into the call and records what it hears into one", async context => {
        const folder = await mkdtemp(join(tmpdir(), "parley-sound-"))
        context.after(() => rm(folder, { recursive: true }))
        const [plane] = await startPlanes(context, ["127.9.36.11"])
        const a = await startBoard(context, "127.9.36.1")
        const b = await startBoard(context, "127.9.36.2")
        const planeIp = ipv4ToInt("127.9.36.11")
        for (const [ssrc, board, ip] of [
            [1, a, "127.9.36.1"],
            [2, b, "127.9.36.2"],
        ] as const) {
            plane!.plane.addLeg({
                session: "s",
                endpoint: ip,
                ssrc,
                remoteIp: ip,
                remotePort: board.port,
                keys: legKeys(),
            })
            await board.command(commands.open, openFormat, [ssrc, planeIp, plane!.port, 0, 20, legKeyText()])
        }
        await a.write(registers.muted, 0)
        const output = join(folder, "b.wav")
        assert.ok((await b.engine.setSpeaker(output)).ok, "recording")
        await passes(400)
        const wav = await a.engine.setMicrophone(speechFile)
        assert.ok(wav.ok && wav.value.durationMs === (readSpeech().length * 1000) / rate, "the whole file")
        await passes(2500)
        const [input] = await a.read(registers.levels, "i8 i8")
        assert.ok(input! > -60, `${input} dBov at the microphone`)
        const [sent, received, lost] = await b.read(registers.statistics, "u32 u32 u32 u32 u32 u32 u32")
        // It is muted, and shows no more than that it is there.
        assert.ok(sent! >= 4 && sent! < 40 && received! > 100 && lost === 0, `${sent} ${received} ${lost}`)
        assert.ok((await b.engine.setSpeaker(null)).ok, "completed")
        const heard = await loadWav(output, rate)
        assert.ok(heard.ok, "a valid WAV file")
        const { atMs, timeOriginMs } = JSON.parse(await readFile(`${output}.json`, "utf8"))
        assert.equal(timeOriginMs, performance.timeOrigin)
        const toMs = atMs + (heard.value.samples.length * 1000) / rate - 400
        const said = part(a.engine.recording().captured, toMs - 2000, toMs)
        const result = measure(said, { atMs, samples: heard.value.samples }, { maxDelayMs: 390 })
        assert.ok(result.ok && result.value.correlation > 0.8, result.ok ? `${result.value.correlation}` : result.what)
        assert.ok(levelDb(heard.value.samples) > -60, "not silence")
        const missing = await a.engine.setMicrophone(join(folder, "none.wav"))
        assert.equal(!missing.ok && missing.code, "not-found")
    })
})
