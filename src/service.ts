/**
 * Serves services/appliance.md: what the appliance tells about itself over Jacdac to the simulator, field tools and
 * tests, and does what they ask for.
 *
 * Not by `@devicescript/server`: that package costs 4.5 KB of bytecode and 1.7 KB of heap for one read-only service.
 * The two raw calls under it are the same ones that it uses.
 */

import * as ds from "@devicescript/core"
import type { Appliance } from "./appliance/appliance"
import type { Roles } from "./appliance/runner"
import { endLife, guard } from "./ending"
import type { MqttClient } from "./mqtt/client"
import { newSignal, raise, raised } from "./mqtt/signal"
import { socketError } from "./network"
import type { Panel } from "./panel/panel"
import { eraseSettings } from "./settings"
import { trialOutcome, wantTrial } from "./trial"

type RawServers = typeof ds & {
    _onServerPacket(packet: ds.Packet): Promise<void>
    _serverSend(serviceIndex: number, packet: ds.Packet): Promise<void>
}

const raw = ds as RawServers
/** Makes a packet an event, with its number; nothing is sent. */
const prepareEvent = 0x100
const serviceIndex = 1
const announceMs = 500
const supportsAcknowledgement = 0x100
/** An event is sent three times, as a bus may lose packets; so long after each, when what people see and hear is out. */
const repeatsMs = [120, 120, 1]
/** The main loop wakes the panel four times a second: one of them that does not turn for so long waits in vain. */
const stuckMs = 15000
/** Counts announcements up to here since the start, so that others notice a restart. */
const steadyAnnouncements = 15
/** Answers that wait for the bus at a time, each 250 bytes: as many as there are registers, which then leave in one frame. */
const maxAnswering = 4
/** Who asks more at a time asks again. */
const maxQuestions = 12
const unknownTime = 4294967295
/** So that no stray packet erases a device. */
const resetMagic = 0x7e5e7000

export class ApplianceServer {
    private changed = newSignal()
    private questions: ds.Packet[] = []
    private answering = 0
    private announcements = 0
    private announceAtMs = 0

    constructor(
        private appliance: Appliance,
        private panel: Panel,
        private client: MqttClient,
        private roles: Roles,
    ) {
        raw._onServerPacket = this.ask
        // In a fiber of its own this time, so that it and the first event leave in one frame.
        this.announce.start()
        guard.start(this.run)
    }

    phaseChanged(): void {
        raise(this.changed)
    }

    /** Answers, or keeps the question for a fiber that is answering. */
    async ask(packet: ds.Packet): Promise<void> {
        if (packet.isReport || packet.serviceIndex !== serviceIndex) return
        if (this.answering >= maxAnswering) {
            if (this.questions.length < maxQuestions) this.questions.push(packet)
            return
        }
        this.answering++
        let question = packet
        while (question) {
            await guard(this.answer, question)
            question = this.questions.shift()
        }
        this.answering--
    }

    /** Tells each phase. A newer one does not wait for the rest of an older one. */
    private async run(): Promise<void> {
        let phase: number
        while (true) {
            while (this.appliance.phase() === phase) await this.rest(announceMs)
            phase = this.appliance.phase()
            // With all that listeners would ask for: each answer is a packet, which the screen may wait behind.
            const spec = ds.Appliance.spec.lookup("phaseChanged")
            const event = spec.encode([phase, this.valueOf("server"), this.valueOf("session")])
            await raw._serverSend(prepareEvent, event)
            for (const pauseMs of repeatsMs) {
                await raw._serverSend(serviceIndex, event)
                await this.rest(pauseMs)
                if (this.appliance.phase() !== phase) break
            }
        }
    }

    /** For `timeMs`, or until the phase changes; announces the service when it is time, and looks after the other tasks. */
    private async rest(timeMs: number): Promise<void> {
        await raised(this.changed, Math.min(timeMs, this.announceAtMs - ds.millis()))
        if (ds.millis() >= this.announceAtMs) await this.announce()
        if (ds.millis() - this.panel.lookedAtMs > stuckMs) await endLife("stuck", "screen or main loop")
    }

    private async announce(): Promise<void> {
        this.announceAtMs = ds.millis() + announceMs
        if (this.announcements < steadyAnnouncements) this.announcements++
        const flags = this.announcements | supportsAcknowledgement
        const spec = ds.Appliance.spec.lookup("announce").response
        await raw._serverSend(0, spec.encode([flags, 0, 0, ds.Appliance.spec.classIdentifier]))
    }

    private async answer(packet: ds.Packet): Promise<void> {
        ds.Appliance.spec.assign(packet)
        if (packet.isAction && packet.spec) return await this.obey(packet)
        const value = packet.isRegGet && packet.spec ? this.valueOf(packet.spec.name) : undefined
        const answer = value === undefined ? packet.notImplemented() : packet.spec.encode(value)
        await raw._serverSend(serviceIndex, answer)
    }

    private async obey(packet: ds.Packet): Promise<void> {
        const check = this.panel.check
        switch (packet.spec.name) {
            case "trySettings":
                return await wantTrial()
            case "selfTest":
            case "identify":
                return check.begin(packet.spec.name === "selfTest", ds.millis())
            case "factoryReset":
                if (packet.decode() !== resetMagic) return
                await eraseSettings()
                await endLife("wanted", "")
        }
    }

    private verdicts(): ds.ApplianceVerdict[] {
        const used = this.panel.check.used
        if (!used) return [0, 0, 0, 0, 0, 0, 0, 0]
        const { screen, led, buzzer, media } = this.roles
        const byPerson = used.map(one => (one ? ds.ApplianceVerdict.Used : ds.ApplianceVerdict.AskPerson))
        return [
            found(screen, ds.ApplianceVerdict.Answers),
            found(led, ds.ApplianceVerdict.AskPerson),
            found(buzzer, ds.ApplianceVerdict.AskPerson),
            found(media, ds.ApplianceVerdict.Answers),
            ...byPerson,
        ]
    }

    private valueOf(register: string): any {
        const { appliance, client } = this
        switch (register) {
            case "phase":
                return appliance.phase() as number
            case "server":
                return appliance.link.isAttached() ? appliance.link.serverId() : ""
            case "session":
                return appliance.sessionId()
            case "counters": {
                const { received, refused, reconnects, outbox } = client
                const boot = appliance.context.identity.boot
                // The firmware cannot see its own heap.
                return [boot, received, outbox.published, refused + appliance.malformed, reconnects, 0]
            }
            case "health": {
                const { clock, isMediaUp } = appliance.context
                const { denial, reason } = appliance.link
                const errorMs = clock.isKnown() ? Math.min(clock.errorMs(ds.millis()), unknownTime - 1) : unknownTime
                return [errorMs, client.why, denial, isMediaUp ? 1 : 0, reason, socketError()]
            }
            case "identity": {
                const { id, board, firmware } = appliance.context.identity
                return [id, board, appliance.link.name, firmware]
            }
            case "trial":
                return trialOutcome()
            case "verdicts":
                return this.verdicts()
        }
    }
}

/** The board's own light is no role, and always there. */
function found(role: ds.Role, verdict: ds.ApplianceVerdict): ds.ApplianceVerdict {
    return !role || role.isBound ? verdict : ds.ApplianceVerdict.Absent
}
