/**
 * The Jacdac face of a media engine: `services/media-engine.md`, register by register.
 *
 * Owns the translation between packets and the engine, and what is refused: packets of the wrong length change nothing.
 * Never keeps a value of its own: read-only registers are filled when they are read.
 */

import { readLegKeys } from "../../media/leg-keys.ts"
import { intToIpv4, ipv4ToInt } from "../../protocol/text.ts"
import type { Engine, EngineEvent } from "./engine.ts"
import type { MediaEngineStatistics } from "./interface.ts"
import { jacdac, type Packet } from "./jacdac.ts"

export const mediaEngineClass = 0x1d4f8a10

/** Codes of `services/media-engine.md`. */
export const mediaEngineCodes = {
    registers: {
        muted: 0x80,
        volume: 0x81,
        state: 0x180,
        address: 0x181,
        levels: 0x182,
        statistics: 0x183,
        codecs: 0x184,
    },
    commands: { open: 0x80, close: 0x81, probe: 0x82, watch: 0x83 },
    events: { probed: 0x80, watchLost: 0x81, watchFound: 0x82, legLost: 0x83 },
}

const { registers, commands, events } = mediaEngineCodes
const known = new Set(Object.values(commands))
const u32 = 4294967295
/** What the engine has, the best first. */
const offered = "opus,pcmu"

/** What the face uses of an engine. */
export interface ServedEngine
    extends Pick<Engine, "isOpen" | "muted" | "volume" | "address" | "open" | "close" | "probe" | "watch"> {
    statistics(): Pick<
        MediaEngineStatistics,
        "inputDb" | "outputDb" | "sent" | "received" | "lost" | "late" | "concealed" | "jitterMs" | "delayMs"
    >
}

export class MediaEngineServer extends jacdac.JDServiceServer {
    constructor(
        private readonly engine: ServedEngine,
        instanceName?: string,
    ) {
        super(mediaEngineClass, instanceName === undefined ? {} : { instanceName })
        this.addRegister(registers.muted, [1]).on(jacdac.CHANGE, () => this.takeWrites())
        this.addRegister(registers.volume, [engine.volume]).on(jacdac.CHANGE, () => this.takeWrites())
        this.fillOnRead(registers.state, () => [engine.isOpen ? 1 : 0])
        this.fillOnRead(registers.address, () => [Math.max(0, ipv4ToInt(engine.address.ip)), engine.address.port])
        this.fillOnRead(registers.levels, () => {
            const { inputDb, outputDb } = engine.statistics()
            return [Math.round(inputDb), Math.round(outputDb)]
        })
        this.fillOnRead(registers.statistics, () => {
            const { sent, received, lost, late, concealed, jitterMs, delayMs } = engine.statistics()
            return [sent, received, lost, late, concealed, micros(jitterMs), micros(delayMs)]
        })
        this.addRegister(registers.codecs, [offered])
        this.addUnpacked(commands.open, "u32 u32 u16 u8 u8", 12, ([ssrc, ip, port, payloadType, frameMs], rest) =>
            engine.open({
                ssrc: ssrc!,
                ip: intToIpv4(ip!),
                port: port!,
                payloadType: payloadType!,
                frameMs: frameMs!,
                keys: readLegKeys(Buffer.from(rest).toString("latin1")),
            }),
        )
        this.addCommand(commands.close, () => engine.close())
        this.addUnpacked(commands.probe, "u32 u32 u16 u8", 11, ([tag, ip, port, count]) =>
            engine.probe(tag!, intToIpv4(ip!), port!, count!),
        )
        this.addUnpacked(commands.watch, "u32 u16 u16", 8, ([ip, port, intervalMs]) =>
            engine.watch(intToIpv4(ip!), port!, intervalMs!),
        )
    }

    override async handlePacket(packet: Packet): Promise<void> {
        // jacdac-ts stores a write of any length, also of none, and would then answer reads with it.
        if (packet.isRegisterSet) {
            const id = packet.registerIdentifier
            if (id !== registers.muted && id !== registers.volume) return
            if (packet.data.length !== 1) return
            const value = packet.data[0]!
            packet.data = Uint8Array.of(id === registers.muted ? (value ? 1 : 0) : Math.min(100, value))
        }
        // It would also print every command that it does not know.
        if (packet.isCommand && !packet.isRegisterGet && !packet.isRegisterSet && !known.has(packet.serviceCommand))
            return
        await super.handlePacket(packet)
    }

    /** The board was reset over Jacdac: as after power-on, closed and muted. */
    override reset(): void {
        super.reset()
        this.engine.close()
        this.takeWrites()
    }

    /** What the engine has to tell the firmware. */
    tell(event: EngineEvent): void {
        switch (event.type) {
            case "probed": {
                const { tag, minRttMs, jitterMs, answered, load } = event
                this.raise(events.probed, "u32 u32 u32 u8 u8", [
                    tag,
                    micros(minRttMs),
                    micros(jitterMs),
                    answered,
                    load,
                ])
                return
            }
            case "watchLost":
                this.raise(events.watchLost, "u32 u16", [ipv4ToInt(event.ip), event.port])
                return
            case "watchFound":
                this.raise(events.watchFound, "u32 u16", [ipv4ToInt(event.ip), event.port])
                return
            case "legLost":
                this.raise(events.legLost, "u32", [event.ssrc])
                return
            case "changed":
                this.register(registers.muted).setValues([this.engine.muted ? 1 : 0], true)
                this.register(registers.volume).setValues([this.engine.volume], true)
        }
    }

    private takeWrites(): void {
        this.engine.muted = (this.register<[number]>(registers.muted).values()[0] ?? 1) !== 0
        this.engine.volume = this.register<[number]>(registers.volume).values()[0] ?? 0
    }

    private fillOnRead(code: number, values: () => number[]): void {
        const register = this.addRegister(code, values())
        register.on(jacdac.REGISTER_PRE_GET, () => register.setValues(values(), true))
    }

    private addUnpacked(
        code: number,
        format: string,
        bytes: number,
        run: (values: number[], rest: Uint8Array) => void,
    ): void {
        this.addCommand(code, packet => {
            if (packet.data.length < bytes) return
            run(jacdac.jdunpack<number[]>(packet.data.slice(0, bytes), format), packet.data.slice(bytes))
        })
    }

    private raise(code: number, format: string, values: number[]): void {
        // The bus may be gone between the event and its packet; a board without power hears nothing.
        this.sendEvent(code, jacdac.jdpack(format, values)).catch(() => {})
    }
}

function micros(ms: number): number {
    return Math.max(0, Math.min(u32, Math.round(ms * 1000)))
}
