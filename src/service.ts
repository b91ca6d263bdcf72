/**
 * Serves services/appliance.md: what the appliance tells about itself over Jacdac to the simulator, field tools and
 * tests. Reads the state; never changes it.
 *
 * Not by `@devicescript/server`: that package costs 4.5 KB of bytecode and 1.7 KB of heap for one read-only service.
 * The two raw calls under it are the same ones that it uses.
 */

import * as ds from "@devicescript/core"
import type { Appliance } from "./appliance/appliance"
import type { MqttClient } from "./mqtt/client"
import { Signal } from "./mqtt/signal"

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
const repeatsMs = [20, 50, 1]
/** Counts announcements up to here since the start, so that others notice a restart. */
const steadyAnnouncements = 15

export class ApplianceServer {
    private appliance: Appliance
    private client: MqttClient
    private changed = new Signal()

    constructor(appliance: Appliance, client: MqttClient) {
        this.appliance = appliance
        this.client = client
        listen(this)
        this.announce.start()
        this.tellChanges.start()
    }

    phaseChanged(): void {
        this.changed.raise()
    }

    private async announce(): Promise<void> {
        const spec = ds.Control.spec.lookup("announce").response
        let count = 1
        while (true) {
            if (count < steadyAnnouncements) count++
            await raw._serverSend(
                0,
                spec.encode([count | supportsAcknowledgement, 0, 0, ds.Appliance.spec.classIdentifier]),
            )
            await ds.sleep(announceMs)
        }
    }

    /** An event is sent three times, as a bus may lose packets; a newer phase does not wait for the rest of an older one. */
    private async tellChanges(): Promise<void> {
        let phase: number
        while (true) {
            if (this.appliance.phase() === phase) await this.changed.wait()
            phase = this.appliance.phase()
            const packet = ds.Appliance.spec.lookup("phaseChanged").encode(phase)
            await raw._serverSend(prepareEvent, packet)
            for (const pauseMs of repeatsMs) {
                await raw._serverSend(serviceIndex, packet)
                await this.changed.wait(pauseMs)
                if (this.appliance.phase() !== phase) break
            }
        }
    }

    async answer(packet: ds.Packet): Promise<void> {
        if (packet.isReport || packet.serviceIndex !== serviceIndex) return
        ds.Appliance.spec.assign(packet)
        const value = packet.isRegGet && packet.spec ? this.valueOf(packet.spec.name) : undefined
        const answer = value === undefined ? packet.notImplemented() : packet.spec.encode(value)
        await raw._serverSend(serviceIndex, answer)
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
                const { received, published, refused, reconnects } = client.counters()
                const boot = appliance.context.identity.boot
                // The firmware cannot see its own heap.
                return [boot, received, published, refused + appliance.malformed, reconnects, 0]
            }
            default:
                return undefined
        }
    }
}

function listen(server: ApplianceServer): void {
    raw._onServerPacket = async packet => await server.answer(packet)
}
