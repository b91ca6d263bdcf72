import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { type AudioModule, startAudioModule } from "../../audio-module/audio-module.ts"
import { SoundCard } from "../../audio-module/sound-card.ts"
import { applianceCodes, readHealth } from "../../cli/device/appliance-service.ts"
import { applianceClass, BoardLink } from "../../cli/device/board-link.ts"
import { openPty, type Pty } from "../../sim/serial/pty.ts"
import { Room } from "../appliance/room.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { eventually, within } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"

const socat = needPackage("socat", "socat")
const alsa = needPackage("arecord", "alsa-utils")
const skip = !socat.ok ? socat.why : !alsa.ok ? alsa.why : false

function value<T>(outcome: { ok: true; value: T } | { ok: false; code: string; what: string }): T {
    if (!outcome.ok) assert.fail(`${outcome.code}: ${outcome.what}`)
    return outcome.value
}

describe("the audio module of an appliance", { skip }, () => {
    let folder: string
    const kept = { ALSA_CONFIG_PATH: process.env.ALSA_CONFIG_PATH, RUNTIME_DIRECTORY: process.env.RUNTIME_DIRECTORY }
    before(() => {
        folder = mkdtempSync(join(tmpdir(), "parley-audio-"))
        // ALSA without a card: silence, and a microphone and a speaker that are files.
        const file = (name: string, more: string) => `pcm.${name} { type file slave.pcm null format raw ${more} }\n`
        writeFileSync(
            join(folder, "asound.conf"),
            `pcm.null { type null }
${file("microphone", `file /dev/null infile "${join(folder, "said.raw")}"`)}${file("speaker", `file "${join(folder, "heard.raw")}"`)}`,
        )
        process.env.ALSA_CONFIG_PATH = join(folder, "asound.conf")
        process.env.RUNTIME_DIRECTORY = folder
    })
    after(() => {
        for (const [name, old] of Object.entries(kept))
            if (old === undefined) delete process.env[name]
            else process.env[name] = old
        rmSync(folder, { recursive: true, force: true })
    })

    test("takes what ALSA's microphone gives, and gives its speaker what is to be heard, sample by sample", async () => {
        const said = Buffer.alloc(64_000)
        for (let i = 0; i < said.length / 2; i++) said.writeInt16LE(1 + (i % 30_000), i * 2)
        writeFileSync(join(folder, "said.raw"), said)
        const card = new SoundCard({ capture: "microphone", playback: "speaker", log: () => {} })
        const piece = new Int16Array(80)
        await eventually(() => {
            card.read(piece, piece.length)
            return piece[0] !== 0
        }, "sound of the microphone")
        for (let i = 1; i < piece.length; i++) assert.equal(piece[i], piece[0]! + i)
        const tone = Int16Array.from({ length: 80 }, (_, i) => 1000 + i)
        for (let i = 0; i < 20; i++) card.write(0, tone, tone.length)
        await eventually(() => card.state.playing, "the speaker")
        await card.close()
        const heard = readFileSync(join(folder, "heard.raw"))
        assert.notEqual(heard.indexOf(Buffer.from(tone.buffer)), -1, `${heard.length} bytes, and not those`)
    })

    test("comes back when the sound card does, and says why it went", async () => {
        const told: string[] = []
        const card = new SoundCard({
            capture: "nowhere",
            playback: "null",
            log: (event, details) => told.push(`${event} ${JSON.stringify(details)}`),
        })
        const piece = new Int16Array(80).fill(7)
        await eventually(() => told.length >= 2, "a second attempt")
        card.read(piece, piece.length)
        assert.ok(piece.every(sample => sample === 0))
        assert.match(told[0]!, /nowhere/)
        await card.close()
    })

    describe("with a board on its serial port", () => {
        let room: Room
        let pty: Pty
        let module: AudioModule
        const path = () => join(folder, "board")
        const plug = async () => {
            pty = value(await openPty(path()))
            room.board.serial.plug(pty.stream)
        }
        before(async () => {
            room = await Room.create({}, { withMedia: false })
            await room.board.powerOn()
            module = value(
                await startAudioModule({
                    port: path(),
                    capture: "null",
                    playback: "null",
                    ipAddress: loopbackAddress(),
                    udpPort: 0,
                    log: () => {},
                }),
            )
        })
        after(async () => {
            await module?.stop()
            await room?.close()
            await pty?.unplug()
        })

        test("is the firmware's media engine from the moment that it is plugged in", async () => {
            assert.deepEqual([module.state().plugged, module.state().muted], [false, true])
            await plug()
            await within(room.board.reached("Idle"), "a routing server, chosen by the probes of the audio module")
            await eventually(() => !module.state().muted, "the microphone, switched on by the firmware")
        })

        test("shares its port: a tool reaches the board through it", async () => {
            const link = value(await BoardLink.open(path()))
            assert.equal(link.shared, true)
            const service = await link.service(applianceClass)
            const health = readHealth(await link.read(service, applianceCodes.registers.health))
            assert.equal(health?.mediaPresent, true)
            await link.close()
        })

        test("mutes when the cable is pulled, as nobody could mute it, and works again when it is back", async () => {
            await pty.unplug()
            await eventually(() => module.state().muted && !module.state().plugged, "the mute")
            await plug()
            await eventually(() => module.state().plugged && !module.state().muted, "the firmware, back")
        })

        test("mutes when the board falls silent on a line that stays", async () => {
            room.board.powerOff()
            await eventually(() => module.state().muted, "the mute")
            assert.equal(module.state().plugged, true)
        })
    })
})
