/**
 * `parley media-engine`: the sound of a real appliance, on the small Linux computer in its enclosure. What it does stands in
 * audio-module/.
 */
import { isIP } from "node:net"
import { failure, success, usage } from "../outcome.ts"
import type { Shell } from "../shell.ts"

const defaultUdpPort = 5004

export function addMediaEngineCommand(shell: Shell): void {
    shell.verb(shell.program, {
        name: "media-engine",
        about: "carry the sound of an appliance on a serial port, with the sound card of this machine, until Ctrl-C",
        options: [
            ["--port <path>", "serial port of the board (PARLEY_PORT); it may be plugged in later"],
            ["--capture <pcm>", "ALSA's name of the microphone (default: default)"],
            ["--playback <pcm>", "ALSA's name of the speaker (default: default)"],
            ["--ip <address>", "IPv4 address for media (default: the first of this machine)"],
            ["--udp-port <number>", `UDP port for media (default ${defaultUdpPort}; 0: any)`],
        ],
        examples: ["parley media-engine --port /dev/ttyACM0 --capture plughw:1,0 --playback plughw:1,0"],
        async run({ flags, output }) {
            const text = (value: unknown, otherwise: string) => (typeof value === "string" ? value : otherwise)
            const port = text(flags.port, process.env.PARLEY_PORT ?? "")
            if (port === "") return usage("which board? --port PATH is needed (or PARLEY_PORT)")
            const udpPort = Number(flags.udpPort ?? defaultUdpPort)
            if (!Number.isInteger(udpPort) || udpPort < 0 || udpPort > 65535 || flags.udpPort === "")
                return usage(`--udp-port: a number from 0 to 65535 is needed, not "${flags.udpPort}"`)
            if (flags.ip !== undefined && isIP(String(flags.ip)) !== 4)
                return usage(`--ip: an IPv4 address is needed, not "${flags.ip}"`)
            // jacdac-ts talks on the console.
            console.log = console.info = console.debug = console.warn = () => {}
            const { startAudioModule } = await import("../../audio-module/audio-module.ts")
            const started = await startAudioModule({
                port,
                capture: text(flags.capture, "default"),
                playback: text(flags.playback, "default"),
                ipAddress: typeof flags.ip === "string" ? flags.ip : undefined,
                udpPort,
                log: (event, details) => output.progress(`${event} ${JSON.stringify(details)}`),
            })
            if (!started.ok) return failure("failed", started.code, started.what, { who: started.who })
            const { stop, ip, udpPort: taken, sharePath } = started.value
            const ready = { ready: true, ip, udpPort: taken, sharePath }
            output.answer(ready, `carries sound from ${ip}:${taken}; the port is shared at ${sharePath}`)
            await new Promise<void>(resolve => {
                process.once("SIGINT", () => resolve())
                process.once("SIGTERM", () => resolve())
            })
            await stop()
            return success({ value: undefined, text: "" })
        },
    })
}
