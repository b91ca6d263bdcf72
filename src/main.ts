/**
 * Entry of the appliance `room-panel`: one program for the board and for the simulator. On the board it starts the
 * servers on the pins; in the simulator the same roles find the simulated hardware.
 */

import * as ds from "@devicescript/core"
import { limits } from "../protocol/limits"
import { inboxFilter, stateTopic } from "../protocol/topics"
import { Appliance } from "./appliance/appliance"
import { Runner } from "./appliance/runner"
import { boardRoles, type Roles } from "./board"
import { MqttClient } from "./mqtt/client"
import { Panel } from "./panel/panel"
import { countBoot, readInteger, readKept, readProvisioning } from "./settings"
import { settingsInForce, watchTrial } from "./trial"

// Roles are bound in the order of their names; services of one kind stand on the hardware in the same order.
const media = new ds.MediaEngine("media")
const screen = new ds.CharacterScreen("screen")
const roles: Roles = ds.isSimulator()
    ? {
          buzzer: new ds.Buzzer("buzzer"),
          call: new ds.Button("call"),
          knob: new ds.RotaryEncoder("knob"),
          led: new ds.Led("led"),
          media,
          menu: new ds.Button("menu"),
          mute: new ds.Button("mute"),
          screen,
      }
    : boardRoles(screen, media)

/** A function, because what a program has at its top stays in memory for ever. */
async function start(): Promise<void> {
    const keys = await settingsInForce()
    const provisioning = await readProvisioning(keys)
    const boot = await countBoot()
    const version = ds._dcfgString("@version")
    const appliance = new Appliance(
        {
            id: provisioning.id,
            boot,
            board: "room-panel",
            firmware: version ? version.slice(0, 16) : "unknown",
            zoneMinutes: await readInteger("tz", -1440, 1440, 0),
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

await start()
