/**
 * Carries the appliance's effects out, and brings it what happens: the one place where roles, flash and connection meet
 * the pure appliance. Events are handled at once where they arrive (fibers are cooperative, and the appliance never
 * waits); effects go to one fiber for each thing that can be slow, so that none of them blocks a button.
 */

import * as ds from "@devicescript/core"
import { intToIpv4 } from "../../protocol/text"
import { showLight } from "../board"
import type { MqttClient } from "../mqtt/client"
import { Signal } from "../mqtt/signal"
import type { Button, Panel } from "../panel/panel"
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
    screen: ds.CharacterScreen
    /** Undefined: the board's own light. */
    led: ds.Led
    buzzer: ds.Buzzer
    media: ds.MediaEngine
}

const probesPerCandidate = 3
const watchIntervalMs = 200
/** Nothing that the appliance waits for is more urgent than this. */
const turnMs = 250
const checkEngineMs = 2000
/** A screen on I2C takes some milliseconds for a picture. */
const screenMs = 40
/** Commands for an engine that does not take them; its appearing writes everything again. */
const maxMediaQueue = 24

export class Runner {
    private appliance: Appliance
    private panel: Panel
    client: MqttClient
    roles: Roles
    private server: ApplianceServer
    private work = new Signal()
    private mediaWork = new Signal()
    private saveWork = new Signal()
    private panelWork = new Signal()
    private engineWork = new Signal()
    private mediaQueue: Effect[] = []
    private saveQueue: { key: string; text: string }[] = []
    private view: View
    private text = ""
    /** What the screen shows; undefined when that is not known. */
    private shownText: string
    private phase: Phase

    constructor(appliance: Appliance, panel: Panel, client: MqttClient, roles: Roles) {
        this.appliance = appliance
        this.panel = panel
        this.client = client
        this.roles = roles
        this.server = new ApplianceServer(appliance, client)
    }

    start() {
        listenToPeople(this)
        listenToEngine(this)
        listenToBroker(this)
        this.run.start()
        this.runMedia.start()
        this.runSaves.start()
        this.runPanel.start()
        this.checkEngine.start()
    }

    /** Before an event is handled: its time. After it, as soon as this fiber rests: the effects. */
    begin(): Appliance {
        this.appliance.context.nowMs = ds.millis()
        this.work.raise()
        return this.appliance
    }

    press(button: Button) {
        this.begin()
        this.panel.press(button)
    }

    turn(steps: number) {
        this.begin()
        this.panel.turn(steps)
    }

    /** The screen has (re)appeared and shows nothing of ours. */
    redraw() {
        this.shownText = undefined
        this.panelWork.raise()
    }

    engineTells(packet: ds.Packet) {
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
            case "address":
                return appliance.mediaAddress(intToIpv4(value[0]), value[1])
        }
    }

    engineAppeared(): void {
        this.engineWork.raise()
    }

    // ---- effects ----------------------------------------------------------------------------------------------------

    private async run(): Promise<void> {
        const { appliance, panel } = this
        while (true) {
            appliance.settle(ds.millis())
            panel.tick()
            const effects = appliance.context.effects
            appliance.context.effects = []
            for (const effect of effects) this.carryOut(effect)
            this.look()
            await this.work.wait(turnMs)
        }
    }

    private carryOut(effect: Effect): void {
        switch (effect.type) {
            case "publish": {
                const client = this.client
                client.publish.start(effect.topic, effect.payload, 1, effect.retain)
                return
            }
            case "save": {
                const waiting = this.saveQueue.find(one => one.key === effect.key)
                if (waiting) waiting.text = effect.text
                else this.saveQueue.push({ key: effect.key, text: effect.text })
                this.saveWork.raise()
                return
            }
            default:
                if (this.mediaQueue.length >= maxMediaQueue) this.mediaQueue.shift()
                this.mediaQueue.push(effect)
                this.mediaWork.raise()
        }
    }

    private look(): void {
        const view = viewOf(this.panel)
        const last = this.view
        const text = view.lines.join("\n")
        if (!last || text !== this.text || view.led !== last.led || view.sound !== last.sound) this.panelWork.raise()
        this.text = text
        this.view = view
        const phase = this.appliance.phase()
        if (phase === this.phase) return
        this.phase = phase
        this.server.phaseChanged()
    }

    private async runPanel(): Promise<void> {
        const { screen, led, buzzer } = this.roles
        let color: number
        let sound = ""
        while (true) {
            await this.panelWork.wait()
            const view = this.view
            if (!view) continue
            if (screen.isBound && this.shownText !== this.text) {
                this.shownText = this.text
                await screen.message.write(this.text)
            }
            if (color !== view.led && (!led || led.isBound)) {
                color = view.led
                if (led) await led.pixels.write(Buffer.from([color >> 16, (color >> 8) & 255, color & 255]))
                else await showLight(color)
            }
            if (view.sound !== sound) {
                sound = view.sound
                if (sound !== "" && buzzer.isBound) await buzzer.playNote(view.pitch, 0.3, 150)
            }
            await ds.sleep(screenMs)
        }
    }

    private async runSaves(): Promise<void> {
        while (true) {
            await this.saveWork.wait()
            while (this.saveQueue.length > 0) {
                const one = this.saveQueue.shift()
                await saveSetting(one.key, one.text)
            }
        }
    }

    private async runMedia(): Promise<void> {
        const media = this.roles.media
        while (true) {
            await this.mediaWork.wait()
            while (this.mediaQueue.length > 0) {
                const effect = this.mediaQueue.shift()
                // Writing to an absent role waits for it; what it missed is written again when it appears.
                if (media.isBound) await this.command(media, effect)
            }
        }
    }

    private async command(media: ds.MediaEngine, effect: Effect): Promise<void> {
        switch (effect.type) {
            case "muted":
                return await media.muted.write(effect.on)
            case "volume":
                return await media.volume.write(effect.level)
            case "open":
                return await media.open(effect.ssrc, effect.ip, effect.port, effect.payloadType, effect.frameMs)
            case "close":
                return await media.close()
            case "probe":
                return await media.probe(effect.tag, effect.ip, effect.port, probesPerCandidate)
            case "watch":
                return await media.watch(effect.ip, effect.port, watchIntervalMs)
        }
    }

    /** An engine that restarted unseen has forgotten the mute, the leg and maybe its port: ask it now and then. */
    private async checkEngine(): Promise<void> {
        const media = this.roles.media
        while (true) {
            if (media.isBound) {
                // The answers come to `engineTells`.
                await media.sendCommand(ds.MediaEngineCodes.RegAddress)
                await media.sendCommand(ds.MediaEngineCodes.RegMuted)
            }
            await this.engineWork.wait(checkEngineMs)
        }
    }
}

/**
 * Packets are taken where they come in, not from the roles' emitters: those keep only the last of several events that
 * come at once, and cost 300 bytes of heap for each subscription. What is not taken here goes its usual way.
 */
function take(role: ds.Role, handler: (packet: ds.Packet) => boolean): void {
    const any = role as any
    const usual = any._onPacket
    any._onPacket = async (packet: ds.Packet) => {
        if (!packet || !packet.spec || !packet.isReport || !handler(packet)) await usual(packet)
    }
}

function listenToPeople(runner: Runner): void {
    const { call, menu, mute, knob, screen } = runner.roles
    const buttons = [call, menu, mute]
    buttons.forEach((role, button) => {
        take(role, packet => {
            if (packet.isEvent && packet.spec.name === "down") runner.press(button)
            return true
        })
    })
    let position: number
    knob.reading.subscribe(reading => {
        if (position !== undefined && reading !== position) runner.turn(reading - position)
        position = reading
    })
    screen.binding().subscribe(() => runner.redraw())
}

function listenToEngine(runner: Runner): void {
    const media = runner.roles.media
    media.binding().subscribe(isBound => {
        const appliance = runner.begin()
        if (isBound) appliance.mediaAppeared()
        else appliance.mediaVanished()
        runner.engineAppeared()
    })
    take(media, packet => {
        runner.engineTells(packet)
        return true
    })
}

function listenToBroker(runner: Runner): void {
    const client = runner.client
    client.onConnected = async () => runner.begin().connected()
    client.onDisconnected = () => runner.begin().disconnected()
    client.onRefused = code => runner.begin().denied(code)
    client.onMessage = async (topic, payload) => runner.begin().message(topic, payload)
}
