/**
 * The hardware of a simulated board, as one Jacdac device: three buttons, a knob, a 4 x 20 screen, an LED, a buzzer, the
 * radio and the media engine, on a bus of its own.
 *
 * Owns what a person touches and sees. Knows nothing of the firmware: frames go in and out. Services stand in the order of
 * the firmware's role names, because that is how the machine binds them (devicescript.md, rule 12).
 */

import type { Clock, Timer } from "../clock.ts"
import { type JDServiceServer, jacdac } from "../media-engine/jacdac.ts"
import type { Wifi } from "../wifi.ts"
import { ClockScheduler } from "./scheduler.ts"
import { createWifiServer } from "./wifi-server.ts"

export const buttonNames = ["call", "menu", "mute"] as const
export type ButtonName = (typeof buttonNames)[number]

export const screenRows = 4
export const screenColumns = 20
const tonesMax = 16
const defaultHoldMs = 80

export interface Tone {
    atMs: number
    hertz: number
    durationMs: number
}

export interface Display {
    /** Four lines of 20 characters, as they stand on the screen. */
    lines: string[]
    /** "#rrggbb" */
    led: string
    /** The last tones of the buzzer. */
    tones: Tone[]
}

export type HardwareEvent =
    | { type: "screen"; lines: string[] }
    | { type: "led"; color: string }
    | { type: "buzzer"; tone: Tone }

export interface HardwareOptions {
    clock: Clock
    /** 16 hexadecimal digits. */
    deviceId: string
    wifi: Wifi
    ipAddress: string
    /** Compiled specs of the project's own services. */
    services: jdspec.ServiceSpec[]
    media?: JDServiceServer
    /** To the firmware. */
    onFrame: (frame: Uint8Array) => void
    onEvent?: (event: HardwareEvent) => void
}

export class Hardware {
    readonly deviceId: string
    readonly #clock: Clock
    readonly #bus
    readonly #provider
    readonly #bridge
    readonly #buttons
    readonly #knob
    readonly #screen
    readonly #led
    #tones: Tone[] = []
    #releases = new Map<ButtonName, Timer>()

    constructor(options: HardwareOptions) {
        const { clock, deviceId, wifi, ipAddress, services, media } = options
        this.#clock = clock
        this.deviceId = deviceId
        const scheduler = new ClockScheduler(clock)
        this.#bus = new jacdac.JDBus([], {
            client: false,
            disableRoleManager: true,
            services,
            scheduler,
            deviceId: `${deviceId.slice(0, 14)}ff`,
        })

        const buzzer = new jacdac.BuzzerServer()
        this.#buttons = Object.fromEntries(buttonNames.map(name => [name, new jacdac.ButtonServer(name)])) as Record<
            ButtonName,
            InstanceType<typeof jacdac.ButtonServer>
        >
        this.#knob = new jacdac.RotaryEncoderServer()
        // Every turn is reported at once; what streams beside that only repeats it, and each report wakes the machine.
        this.#knob.streamingInterval.setValues([500])
        this.#led = new jacdac.LedServer({ numPixels: 1 })
        this.#screen = new jacdac.CharacterScreenServer({ rows: screenRows, columns: screenColumns })
        const radio = createWifiServer({
            wifi,
            ipAddress,
            hardwareAddress: Buffer.from(`02${deviceId.slice(0, 10)}`, "hex"),
        })
        const roles: [string, JDServiceServer][] = [
            ["buzzer", buzzer],
            ["call", this.#buttons.call],
            ["knob", this.#knob],
            ["led", this.#led],
            ...(media ? [["media", media] as [string, JDServiceServer]] : []),
            ["menu", this.#buttons.menu],
            ["mute", this.#buttons.mute],
            ["screen", this.#screen],
            ["wifi", radio],
        ]
        this.#provider = new (providerClass(scheduler))(
            "parley-board",
            roles.map(([, server]) => server),
            { deviceId },
        )
        this.#bridge = jacdac.createProxyBridge(frame => {
            // The bus itself is no part of the board; a pipe goes to the device that has opened it.
            const isOwn = Buffer.from(frame).toString("hex", 4, 12) === deviceId
            if (isOwn || frame[13] === jacdac.JD_SERVICE_INDEX_PIPE) options.onFrame(frame)
        })
        this.#bus.addBridge(this.#bridge)
        this.#bus.addServiceProvider(this.#provider)

        this.#screen.message.on(jacdac.CHANGE, () => options.onEvent?.({ type: "screen", lines: this.display().lines }))
        this.#led.pixels.on(jacdac.CHANGE, () => options.onEvent?.({ type: "led", color: this.display().led }))
        buzzer.on(jacdac.BuzzerServer.PLAY_TONE, (tone: { frequency: number; duration: number }) => {
            const heard = { atMs: clock.nowMs(), hertz: Math.round(tone.frequency), durationMs: tone.duration }
            this.#tones = [...this.#tones, heard].slice(-tonesMax)
            options.onEvent?.({ type: "buzzer", tone: heard })
        })
    }

    /** Tells the firmware at once which services there are, instead of within half a second. */
    announce(): void {
        void this.#provider.controlService.announce()
    }

    /** A frame from the firmware. */
    receive(frame: Uint8Array): void {
        // Reports of the firmware's own services are nothing to hardware; not looking at them saves half of the work.
        const isCommand = (frame[3] & 1) !== 0
        const isLarge = frame[2] === 0xff
        const isAcknowledgement = frame[13] === jacdac.JD_SERVICE_INDEX_CRC_ACK
        if (isCommand || isLarge || isAcknowledgement) this.#bridge.receiveFrameOrPacket(frame)
    }

    /** Presses a button now and lets it go after `holdMs`; the time of the press. */
    press(button: ButtonName, holdMs = defaultHoldMs): number {
        const server = this.#buttons[button]
        const atMs = this.#clock.nowMs()
        this.#releases.get(button)?.cancel()
        void server.down()
        // The server looks at its contact only every 50 ms; a person's finger is not that late.
        server.emit(jacdac.REFRESH)
        this.#releases.set(
            button,
            this.#clock.after(holdMs, () => {
                this.#releases.delete(button)
                void server.up()
                server.emit(jacdac.REFRESH)
            }),
        )
        return atMs
    }

    /** Turns the knob by clicks, clockwise when positive; the time. */
    turn(steps: number): number {
        const atMs = this.#clock.nowMs()
        void this.#knob.rotate(steps)
        void this.#knob.reading.sendGetAsync()
        return atMs
    }

    display(): Display {
        const [red = 0, green = 0, blue = 0] = this.#led.pixels.data
        const hex = (value: number) => value.toString(16).padStart(2, "0")
        const text = String(this.#screen.message.values()[0] ?? "").split("\n")
        const lines: string[] = []
        for (let row = 0; row < screenRows; row++)
            lines.push([...(text[row] ?? "")].slice(0, screenColumns).join("").padEnd(screenColumns))
        return { lines, led: `#${hex(red)}${hex(green)}${hex(blue)}`, tones: [...this.#tones] }
    }

    /** Power is gone: no frame, no timer of this hardware is left. */
    stop(): void {
        for (const timer of this.#releases.values()) timer.cancel()
        this.#releases.clear()
        this.#bus.removeServiceProvider(this.#provider)
        this.#bridge.bus = undefined as never
        void this.#bus.stop()
    }
}

/** The provider of jacdac-ts repeats events by timers of the host; this one by the board's clock. */
function providerClass(scheduler: ClockScheduler) {
    return class extends jacdac.JDServerServiceProvider {
        override delayedSend(
            packet: Parameters<InstanceType<typeof jacdac.JDServerServiceProvider>["delayedSend"]>[0],
            atMs: number,
        ) {
            scheduler.setTimeout(() => {
                if (this.bus) void this.sendPacketAsync(packet)
            }, atMs - scheduler.timestamp)
        }
    }
}
