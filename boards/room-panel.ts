/** The room panel: an ESP32-S3 with an OLED, a knob, three buttons, a ring of lights and a buzzer (docs/boards/room-panel.md). */

import * as ds from "@devicescript/core"
import { startButton, startBuzzer, startRotaryEncoder } from "@devicescript/servers"
import { pins } from "@dsboard/room_panel"
import { simulatedParts, startAppliance } from "../src/app"
import type { Roles } from "../src/appliance/runner"
import { startOled } from "./oled"
import { strip } from "./strip"

const ringLights = 12

/** Said for each board anew: the compiler reads these pins where they are named and takes no function that is given them. */
function boardParts(): Roles {
    return {
        buzzer: startBuzzer({ name: "buzzer", pin: pins.BUZZER }),
        call: startButton({ name: "call", pin: pins.CALL }),
        knob: startRotaryEncoder({ name: "knob", pin0: pins.KNOB_A, pin1: pins.KNOB_B, clicksPerTurn: 20 }),
        media: new ds.MediaEngine("media"),
        menu: startButton({ name: "menu", pin: pins.MENU }),
        mute: startButton({ name: "mute", pin: pins.MUTE }),
        showColor: strip(pins.RING.gpio, ringLights),
    }
}

const roles = ds.isSimulator() ? simulatedParts() : boardParts()
roles.showText = await startOled()
await startAppliance("room-panel", roles)
