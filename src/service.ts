/**
 * Serves services/appliance.md: what the appliance tells about itself over Jacdac to the simulator, field tools and
 * tests. Reads the state; never changes it.
 */

import * as ds from "@devicescript/core"
import { Server, startServer } from "@devicescript/server"
import type { Appliance } from "./appliance/appliance"
import type { MqttClient } from "./mqtt/client"

export class ApplianceServer extends Server implements ds.ApplianceServerSpec {
    private appliance: Appliance
    private client: MqttClient

    constructor(appliance: Appliance, client: MqttClient) {
        super(ds.Appliance.spec)
        this.appliance = appliance
        this.client = client
        startServer(this, { roleName: "appliance" })
    }

    phase() {
        return this.appliance.phase() as number
    }

    server() {
        const link = this.appliance.link
        return link.isAttached() ? link.serverId() : ""
    }

    session() {
        return this.appliance.sessionId()
    }

    counters(): any {
        const { received, published, refused, reconnects } = this.client.counters()
        const appliance = this.appliance
        // The firmware cannot see its own heap.
        return [appliance.context.identity.boot, received, published, refused + appliance.malformed, reconnects, 0]
    }

    async phaseChanged() {
        await this.sendEvent(ds.Appliance.spec.lookup("phaseChanged").encode(this.appliance.phase() as number))
    }
}
