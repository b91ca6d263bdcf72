/**
 * A conversation with one board over its serial port, in the words of Jacdac: find a service, read a register, send a
 * command, wait for an event.
 *
 * Owns the port, a bus of jacdac-ts on it, and the last lines of the log. Never decides what an answer means. Whatever a
 * board does not answer in time is `undefined`, as on a bus nobody says no.
 */

import type { JDBus, JDDevice, JDService } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"
import { type HostPort, openHostPort } from "../../serial/host-port.ts"
import { jacdac, type Packet } from "../../serial/jacdac.ts"
import { failure, type Outcome, success } from "../outcome.ts"

/** services/appliance.md */
export const applianceClass = 0x1a5b3c21

const answerMs = 800
const serviceMs = 3000
/** Announcements come each half second; a program that has just started binds within a second. */
const boardMs = 3500
const logLinesMax = 1000
const getRegister = 0x1000
const setRegister = 0x2000
const eventNumberMask = 0x7f
/** A number that seems further ahead than this is behind: a repeat. */
const aheadMax = 0x7f - 16

export interface LinkOptions {
    /** Each line of the board's log as it comes. */
    onLog?: (line: string) => void
    /** Each packet on the bus, explained, as it comes. */
    onPacket?: (text: string) => void
    onEnd?: () => void
}

export interface BoardEvent {
    code: number
    data: Buffer
}

export class BoardLink {
    readonly log: string[] = []
    /** Frames since the port was opened. */
    frames = 0
    #port!: HostPort
    readonly #bus: JDBus
    readonly #bridge
    readonly #waiting = new Set<(packet: Packet) => void>()
    readonly #eventNumbers = new Map<string, number>()
    #ended = false

    private constructor() {
        this.#bus = new jacdac.JDBus([], { client: false, disableRoleManager: true })
        this.#bus.on(jacdac.PACKET_PROCESS, (packet: Packet) => {
            if (packet.isEvent) this.#hearEvent(packet)
        })
        this.#bridge = jacdac.createProxyBridge(frame => this.#port.send(frame))
    }

    /** Opens the port; whether a board is at its end is not known yet. */
    static async open(path: string, options: LinkOptions = {}): Promise<Outcome<BoardLink>> {
        // jacdac-ts talks on the console.
        console.log = console.info = console.debug = console.warn = () => {}
        const link = new BoardLink()
        const opened = await openHostPort(path, {
            frame: frame => {
                link.frames++
                link.#bridge.receiveFrameOrPacket(frame)
            },
            log: line => {
                link.log.push(line)
                if (link.log.length > logLinesMax) link.log.shift()
                options.onLog?.(line)
            },
            end: () => {
                link.#ended = true
                options.onEnd?.()
            },
        })
        if (!opened.ok) {
            await link.#bus.stop()
            const exit = opened.code === "no-such-port" ? "notRunning" : "failed"
            return failure(exit, opened.code, opened.what, { who: opened.who, next: portAdvice[opened.code] })
        }
        link.#port = opened.value
        link.#bus.addBridge(link.#bridge)
        if (options.onPacket) {
            const { onPacket } = options
            link.#bus.on(jacdac.PACKET_PROCESS, (packet: Packet) => onPacket(String(packet)))
        }
        return success(link)
    }

    get path(): string {
        return this.#port.path
    }

    get shared(): boolean {
        return this.#port.shared
    }

    /** The cable was pulled since. */
    get ended(): boolean {
        return this.#ended
    }

    damaged(): number {
        return this.#port.damaged()
    }

    /** The first service of this class, as soon as it announces itself. */
    async service(serviceClass: number, limitMs = serviceMs): Promise<JDService | undefined> {
        return this.#when(() => this.#bus.services({ serviceClass })[0], limitMs)
    }

    /** The machine that runs the firmware. */
    async machine(limitMs = boardMs): Promise<JDDevice | undefined> {
        return (await this.service(jacdac.SRV_DEVICE_SCRIPT_MANAGER, limitMs))?.device
    }

    services(serviceClass: number): JDService[] {
        return this.#bus.services({ serviceClass })
    }

    devices(): JDDevice[] {
        return this.#bus.devices().filter(device => device !== this.#bus.selfDevice)
    }

    /** Forgets all devices, as after a restart, when their services may stand elsewhere. */
    forget(): void {
        this.#bus.clear()
    }

    async read(service: JDService | undefined, register: number, limitMs = answerMs): Promise<Buffer | undefined> {
        return await this.ask(service, getRegister | register, Buffer.alloc(0), limitMs)
    }

    /** The report that answers a command. */
    async ask(
        service: JDService | undefined,
        command: number,
        payload: Uint8Array,
        limitMs = answerMs,
    ): Promise<Buffer | undefined> {
        if (!service) return undefined
        // Lines lose a frame now and then: what can be asked twice is.
        for (let attempt = 0; attempt < 2; attempt++) {
            const packet = jacdac.Packet.from(command, payload)
            try {
                const answer = await service.sendCmdAwaitResponseAsync(packet, limitMs / 2)
                return Buffer.from(answer.data)
            } catch {
                // Nobody answered.
            }
        }
        return undefined
    }

    async write(service: JDService, register: number, value: Uint8Array): Promise<void> {
        await this.command(service, setRegister | register, value)
    }

    /** Sends a command. With `acknowledged` it is repeated until the board has it; false when it never had. */
    async command(
        service: JDService,
        command: number,
        payload: Uint8Array = Buffer.alloc(0),
        acknowledged = false,
    ): Promise<boolean> {
        try {
            await service.sendPacketAsync(jacdac.Packet.from(command, payload), acknowledged)
            return true
        } catch {
            return false
        }
    }

    /** The next event with one of these codes, from now on. Call it before what causes the event. */
    event(service: JDService, codes: number[], limitMs: number): Promise<BoardEvent | undefined> {
        return new Promise(resolve => {
            const settle = (found: BoardEvent | undefined) => {
                clearTimeout(timer)
                this.#waiting.delete(hear)
                resolve(found)
            }
            const hear = (packet: Packet) => {
                if (packet.deviceIdentifier !== service.device.deviceId) return
                const code = packet.serviceCommand & 0xff
                if (packet.serviceIndex === service.serviceIndex && codes.includes(code))
                    settle({ code, data: Buffer.from(packet.data) })
            }
            this.#waiting.add(hear)
            // Whoever has found out otherwise does not wait for it.
            const timer = setTimeout(() => settle(undefined), limitMs).unref()
        })
    }

    /** Events are sent three times, with a number; the first of each is told. */
    #hearEvent(packet: Packet): void {
        const number = (packet.serviceCommand >> 8) & eventNumberMask
        const last = this.#eventNumbers.get(packet.deviceIdentifier)
        const ahead = last === undefined ? 1 : (number - last) & eventNumberMask
        if (ahead === 0 || ahead > aheadMax) return
        this.#eventNumbers.set(packet.deviceIdentifier, number)
        for (const hear of [...this.#waiting]) hear(packet)
    }

    /** Looks at every change of the bus until `find` gives something. */
    async #when<T>(find: () => T | undefined, limitMs: number): Promise<T | undefined> {
        const found = find()
        if (found !== undefined) return found
        return new Promise(resolve => {
            const look = () => {
                const found = find()
                if (found === undefined) return
                clearTimeout(timer)
                stop()
                resolve(found)
            }
            const stop = this.#bus.subscribe(
                [jacdac.DEVICE_ANNOUNCE, jacdac.DEVICE_CHANGE, jacdac.DEVICE_CONNECT],
                look,
            )
            const timer = setTimeout(() => {
                stop()
                resolve(undefined)
            }, limitMs)
        })
    }

    get bus(): JDBus {
        return this.#bus
    }

    async close(): Promise<void> {
        this.#bridge.bus = undefined as never
        await this.#bus.stop()
        await this.#port.close()
    }
}

const portAdvice: Record<string, string> = {
    "no-such-port":
        "look which ports there are: ls /dev/ttyACM* /dev/ttyUSB*; a simulated board: parley board serial BOARD",
    "port-busy":
        "end the other program (a console, a flasher); a `parley media-engine` shares the port under the name that it was given",
    "not-a-port": "give the path of the board's port",
}
