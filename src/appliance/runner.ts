/**
 * Carries the appliance's effects out, and brings it what happens: the one place where roles, flash and connection meet
 * the pure appliance. Events are handled at once where they arrive (fibers are cooperative, and the appliance never
 * waits); effects go to one fiber for each thing that can be slow, so that none of them blocks a button.
 */

import * as ds from "@devicescript/core"
import { limits } from "../../protocol/limits"
import { intToIpv4 } from "../../protocol/text"
import { guard, note } from "../ending"
import { listen } from "../hear"
import type { MqttClient } from "../mqtt/client"
import { newSignal, raise, raised } from "../mqtt/signal"
import { Button, type Panel } from "../panel/panel"
import { type View, viewOf } from "../panel/view"
import { ApplianceServer } from "../service"
import { saveSetting } from "../settings"
import type { Appliance } from "./appliance"
import type { Effect } from "./context"
import type { Phase } from "./phases"

export interface Roles {
    call: ds.Button
    menu: ds.Button
    mute: ds.Button
    knob: ds.RotaryEncoder
    screen?: ds.CharacterScreen
    led?: ds.Led
    buzzer: ds.Buzzer
    media: ds.MediaEngine
    /** The board's own display, with or in place of `screen`: four lines. */
    showText?: (text: string) => Promise<void>
    /** The board's own light in place of `led`, 0xRRGGBB. */
    showColor?: (color: number) => Promise<void>
}

/** Nothing that the appliance waits for is more urgent than this. */
const turnMs = 250
const checkMs = 700
/** Pictures come no faster, and light and sound so long after one: what a person asked for has sent its packets by then. */
const screenMs = 40
const toneMs = 150
/** Which part of its period a tone is on: how loud it is. */
const toneOn = 0.15
/** Writing this to `streaming_samples` asks a sensor for its next so many readings. */
const streamingReports = 199
const setStreaming = 0x2003
/** What the engine is asked, each in its turn, and then the knob; the answers come to `engineTells`. */
const engineQuestions = [ds.MediaEngineCodes.RegAddress, ds.MediaEngineCodes.RegCodecs, ds.MediaEngineCodes.RegMuted]
/** Commands for an engine that does not take them; its appearing writes everything again. */
const maxMediaQueue = 24

export class Runner {
    private server: ApplianceServer
    private work = newSignal()
    private mediaWork = newSignal()
    private saveWork = newSignal()
    private panelWork = newSignal()
    private mediaQueue: Effect[] = []
    /** Keys of what is to be kept. */
    private saveQueue: string[] = []
    /** Questions to the engine since it appeared, and when the next is due. */
    private asked = 0
    private checkAtMs = 0
    /** What the panel is to show and to sound. */
    private view: View
    /** What the screen shows; undefined when that is not known. */
    private shownText: string
    private phase: Phase
    /** Of the knob; undefined before its first reading. */
    private position: number

    constructor(
        private appliance: Appliance,
        private panel: Panel,
        private client: MqttClient,
        private roles: Roles,
    ) {}

    /** Of fibers that are woken together the older runs first, and its packet leaves first. */
    start() {
        const { client, panel } = this
        listen(this.hear)
        listenToBroker(this, client)
        this.view = viewOf(panel)
        guard.start(this.runPanel)
        guard.start(this.runMedia)
        guard.start(this.runSaves)
        this.server = new ApplianceServer(this.appliance, panel, client, this.roles)
        guard.start(this.run)
    }

    /** Before an event is handled: its time. After it, as soon as this fiber rests: the effects. */
    begin(): Appliance {
        this.appliance.context.nowMs = ds.millis()
        raise(this.work)
        return this.appliance
    }

    hear(role: ds.Role, packet: ds.Packet): void {
        const { call, menu, knob, screen, media } = this.roles
        if (role === media) {
            if (packet) this.engineTells(packet)
            else this.engineBound(media.isBound)
        } else if (role === screen) {
            // One that has vanished shows nothing of ours when it is back.
            if (!packet && !screen.isBound) this.shownText = undefined
        } else if (role === knob) {
            if (packet && packet.isRegGet && packet.spec.name === "reading") this.knobAt(packet.decode())
            else if (!packet && knob.isBound && this.position === undefined) askForReadings.start(knob)
        } else if (packet && packet.isEvent && packet.spec.name === "down") {
            this.begin()
            this.panel.press(role === call ? Button.Call : role === menu ? Button.Menu : Button.Mute)
        }
    }

    private knobAt(position: number): void {
        const before = this.position
        this.position = position
        if (before === undefined || before === position) return
        this.begin()
        this.panel.turn(position - before)
    }

    private engineTells(packet: ds.Packet) {
        const appliance = this.begin()
        const value = packet.decode()
        switch (packet.spec.name) {
            case "probed":
                return appliance.link.probed(value[0], value[1], value[2], value[3], value[4])
            case "watchLost":
                return appliance.serverLost(intToIpv4(value[0]))
            case "legLost":
                return appliance.call.legLost()
            case "muted":
                return appliance.call.engineMuted(value)
            case "codecs":
                appliance.context.mediaCodecs = value
                return
            case "address":
                return appliance.mediaAddress(intToIpv4(value[0]), value[1])
        }
    }

    private engineBound(isBound: boolean) {
        if (isBound === this.appliance.context.isMediaUp) return
        const appliance = this.begin()
        if (!isBound) return appliance.mediaVanished()
        appliance.mediaAppeared()
        this.asked = 0
        this.checkAtMs = 0
        raise(this.mediaWork)
    }

    // ---- effects ----------------------------------------------------------------------------------------------------

    private async run(): Promise<void> {
        const { appliance, panel } = this
        while (true) {
            appliance.settle(ds.millis())
            panel.tick()
            const effects = appliance.context.effects
            appliance.context.effects = []
            // What people see goes first: packets leave in the order in which they are asked for, five at once and then 50 a second.
            this.look()
            for (const effect of effects) this.carryOut(effect)
            await raised(this.work, turnMs)
        }
    }

    private carryOut(effect: Effect): void {
        switch (effect.type) {
            case "publish":
                this.client.publish(effect.topic, effect.payload, effect.retain)
                return
            case "save":
                // A mute, and that it is in a session, do not wait for the agenda: the power may go.
                if (this.saveQueue.indexOf(effect.key) < 0) {
                    if (effect.key.startsWith("agenda")) this.saveQueue.push(effect.key)
                    else this.saveQueue.unshift(effect.key)
                }
                raise(this.saveWork)
                return
            default:
                if (this.mediaQueue.length >= maxMediaQueue) this.mediaQueue.shift()
                this.mediaQueue.push(effect)
                raise(this.mediaWork)
        }
    }

    private look(): void {
        this.view = viewOf(this.panel)
        raise(this.panelWork)
        const phase = this.appliance.phase()
        if (phase === this.phase) return
        this.phase = phase
        note(`phase ${phase}`)
        this.server.phaseChanged()
    }

    private async runPanel(): Promise<void> {
        const { screen, led, buzzer, showText, showColor } = this.roles
        let shownColor: number
        let heard = ""
        while (true) {
            await raised(this.panelWork)
            this.panel.lookedAtMs = ds.millis()
            const { text, led: color, sound, pitch } = this.view
            const isScreenUp = screen && screen.isBound
            // One thing a turn: whatever has changed meanwhile, the picture is the next to be shown.
            if (this.shownText !== text && (showText || isScreenUp)) {
                this.shownText = text
                if (isScreenUp) await screen.message.write(text)
                if (showText) await showText(text)
                await ds.sleep(screenMs)
            } else if (shownColor !== color && (showColor || led.isBound)) {
                shownColor = color
                if (showColor) await showColor(color)
                else await led.pixels.write(Buffer.from([color >> 16, (color >> 8) & 255, color & 255]))
            } else if (heard !== sound) {
                heard = sound
                // Not by `playNote`, which is 170 bytes of heap: for how many microseconds of each period the tone is on.
                const periodUs = 1000000 / pitch
                if (sound !== "" && buzzer.isBound) await buzzer.playTone(periodUs, periodUs * toneOn, toneMs)
            } else continue
            raise(this.panelWork)
        }
    }

    private async runSaves(): Promise<void> {
        while (true) {
            await raised(this.saveWork)
            while (this.saveQueue.length > 0) {
                const key = this.saveQueue.shift()
                await saveSetting(key, this.appliance.kept(key))
            }
        }
    }

    private async runMedia(): Promise<void> {
        const media = this.roles.media
        while (true) {
            await raised(this.mediaWork, checkMs)
            while (this.mediaQueue.length > 0) {
                const effect = this.mediaQueue.shift()
                // Writing to an absent role waits for it; what it missed is written again when it appears.
                if (media.isBound) await this.command(media, effect)
            }
            await this.check()
        }
    }

    private async command(media: ds.MediaEngine, effect: Effect): Promise<void> {
        switch (effect.type) {
            case "muted":
                return await media.muted.write(effect.isMuted)
            case "volume":
                return await media.volume.write(effect.level)
            case "open":
                return await openLeg(media, effect)
            case "close":
                return await media.close()
            case "probe":
                return await media.probe(effect.tag, effect.ip, effect.port, limits.probesPerCandidate)
            case "watch":
                return await media.watch(effect.ip, effect.port, limits.watchIntervalMs)
        }
    }

    /**
     * An engine that restarted unseen has forgotten the mute, the leg and maybe its port, and a knob gives only so many
     * readings: asks them now and then. What a session needs at once, then one thing at a time, as five packets are all
     * that leave without waiting.
     */
    private async check(): Promise<void> {
        const { media, knob } = this.roles
        while (ds.millis() >= this.checkAtMs || this.asked < engineQuestions.length) {
            this.checkAtMs = ds.millis() + checkMs
            const question = engineQuestions[this.asked % (engineQuestions.length + 1)]
            this.asked++
            if (!question && knob.isBound) await askForReadings(knob)
            else if (question && media.isBound) await media.sendCommand(question)
        }
    }
}

async function openLeg(media: ds.MediaEngine, leg: Extract<Effect, { type: "open" }>): Promise<void> {
    await media.open(leg.ssrc, leg.ip, leg.port, leg.payloadType, leg.frameMs, leg.key)
}

async function askForReadings(knob: ds.RotaryEncoder): Promise<void> {
    await knob.sendCommand(setStreaming, Buffer.from([streamingReports]))
}

function listenToBroker(runner: Runner, client: MqttClient): void {
    client.onConnected = async () => runner.begin().connected()
    client.onDisconnected = () => runner.begin().disconnected()
    client.onRefused = code => runner.begin().denied(code)
    client.onMessage = async (topic, payload) => runner.begin().message(topic, payload)
}
