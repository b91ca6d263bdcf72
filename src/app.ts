/**
 * The appliance without its hardware: knows roles only. An entry in `boards/` gives it the parts of one board; the same
 * program in the simulator finds simulated ones (`simulatedParts`).
 */

import * as ds from "@devicescript/core"
import { limits } from "../protocol/limits"
import { inboxFilter, stateTopic } from "../protocol/topics"
import { Appliance } from "./appliance/appliance"
import { type Roles, Runner } from "./appliance/runner"
import { lastEnd } from "./ending"
import { MqttClient } from "./mqtt/client"
import { Panel } from "./panel/panel"
import { countBoot, readInteger, readKept, readProvisioning } from "./settings"
import { settingsInForce, watchTrial } from "./trial"

/** Simulated hardware. Roles are bound in the order of their names; services of one kind stand there in the same order. */
export function simulatedParts(): Roles {
    return {
        buzzer: new ds.Buzzer("buzzer"),
        call: new ds.Button("call"),
        knob: new ds.RotaryEncoder("knob"),
        led: new ds.Led("led"),
        media: new ds.MediaEngine("media"),
        menu: new ds.Button("menu"),
        mute: new ds.Button("mute"),
        screen: new ds.CharacterScreen("screen"),
    }
}

/** `board` is the name that the appliance tells the group server. */
export async function startAppliance(board: string, roles: Roles): Promise<void> {
    const keys = await settingsInForce()
    const provisioning = await readProvisioning(keys)
    const boot = await countBoot()
    const version = ds._dcfgString("@version")
    const appliance = new Appliance(
        {
            id: provisioning.id,
            boot,
            board,
            firmware: version ? version.slice(0, 16) : "unknown",
            zoneMinutes: await readInteger("tz", -1440, 1440, 0),
            crash: await lastEnd(boot),
        },
        await readKept(),
        Math.random,
    )

    const client = new MqttClient({
        ...provisioning,
        keepaliveSeconds: limits.keepaliveSeconds,
        willTopic: stateTopic("ep", provisioning.id),
        willPayload: appliance.stateJson(false),
        filter: inboxFilter("ep", provisioning.id),
        maxPayloadBytes: limits.messageToApplianceBytes,
        inboxMessages: 8,
        inboxBytes: 4096,
    })

    new Runner(appliance, new Panel(appliance), client, roles).start()
    if (provisioning.id !== "") client.start()
    if (keys === "n.") watchTrial.start(appliance, provisioning)
}
