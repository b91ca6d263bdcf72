import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { SerialPort } from "serialport"
import type { Board } from "../../sim/board.ts"
import { jacdac } from "../../sim/media-engine/jacdac.ts"
import { openPty, type Pty } from "../../sim/serial/pty.ts"
import { padToBlock } from "../../sim/vm/machine.ts"
import { boardWith, program } from "../sim/programs.ts"
import { within } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"

const socat = needPackage("socat", "socat")

/** The stock transport; it looks for new ports as long as the process lives, which must not keep the process alive. */
function transportOf(port: typeof SerialPort) {
    const { setInterval } = globalThis
    globalThis.setInterval = ((...given: Parameters<typeof setInterval>) =>
        setInterval(...given).unref()) as typeof setInterval
    try {
        return jacdac.createNodeWebSerialTransport(port)
    } finally {
        globalThis.setInterval = setInterval
    }
}

describe("stock jacdac-ts at a board's serial port", { skip: socat.ok ? false : socat.why }, () => {
    let folder: string
    let board: Board
    let pty: Pty
    let bus: InstanceType<typeof jacdac.JDBus>
    const silenced = { debug: console.debug, log: console.log }
    before(async () => {
        // The library tells the console of each line of the log.
        console.debug = console.log = () => {}
        folder = mkdtempSync(join(tmpdir(), "parley-stock-"))
        board = await boardWith("hello", { settings: { "p.id": "room-1" } })
        const opened = await openPty(join(folder, "board"))
        assert.ok(opened.ok, JSON.stringify(opened))
        pty = opened.value
        board.serial.plug(pty.stream)
        await board.powerOn()
        // All that is ours: the library looks for ports with known USB ids, and a pseudo-terminal has none.
        class ListedPort extends SerialPort {
            static override async list() {
                return [{ path: pty.path, serialNumber: "JD-test", vendorId: "303a" }] as Awaited<
                    ReturnType<typeof SerialPort.list>
                >
            }
        }
        bus = new jacdac.JDBus([transportOf(ListedPort)], { client: true })
        await within(bus.connect(), "the connection of jacdac-ts")
    })
    after(async () => {
        await bus?.disconnect()
        await bus?.stop()
        board?.powerOff()
        await pty?.unplug()
        rmSync(folder, { recursive: true, force: true })
        Object.assign(console, silenced)
    })

    /** The first service of this class, as soon as the library has heard of it. */
    const service = async (serviceClass: number) => {
        const present = () => bus.services({ serviceClass })[0]
        while (!present())
            await within(
                new Promise(resolve => bus.once(jacdac.DEVICE_CHANGE, resolve)),
                `service ${serviceClass.toString(16)}`,
            )
        return present()!
    }

    test("lists the board's devices: its machine and its hardware", async () => {
        const manager = await service(jacdac.SRV_DEVICE_SCRIPT_MANAGER)
        const screen = await service(jacdac.SRV_CHARACTER_SCREEN)
        assert.notEqual(manager.device.deviceId, screen.device.deviceId)
    })

    test("reads and writes a setting", async () => {
        const settings = new jacdac.SettingsClient(await service(jacdac.SRV_SETTINGS))
        assert.equal(await settings.getStringValue("p.id"), '"room-1"')
        await settings.setStringValue("tz", "60")
        assert.equal(await settings.getStringValue("tz"), "60")
    })

    test("deploys bytecode, which runs and whose SHA-256 then matches", async () => {
        const bytecode = await program("trouble")
        const manager = await service(jacdac.SRV_DEVICE_SCRIPT_MANAGER)
        const client = new jacdac.DeviceScriptManagerClient(manager)
        const deployed = Buffer.from(padToBlock(bytecode))
        await within(client.deployBytecode(deployed), "the deployment")
        const register = manager.register(jacdac.DeviceScriptManagerReg.ProgramSha256)
        await register.refresh(true)
        const told = Buffer.from(register.data!).toString("hex")
        assert.equal(told, createHash("sha256").update(deployed).digest("hex"))
    })
})
