/** The desk unit: an ESP32-C3 with an OLED, a knob, three buttons, one light and a buzzer (docs/boards/desk-unit.md). */

import * as ds from "@devicescript/core"
import { startButton, startBuzzer, startRotaryEncoder } from "@devicescript/servers"
import { pins } from "@dsboard/desk_unit"
import { simulatedParts, startAppliance } from "../src/app"
import type { Roles } from "../src/appliance/runner"
import { startOled } from "./oled"
import { strip } from "./strip"

/** Said for each board anew: the compiler reads these pins where they are named and takes no function that is given them. */
function boardParts(): Roles {
    return {
        buzzer: startBuzzer({ name: "buzzer", pin: pins.BUZZER }),
        call: startButton({ name: "call", pin: pins.CALL }),
        knob: startRotaryEncoder({ name: "knob", pin0: pins.KNOB_A, pin1: pins.KNOB_B, clicksPerTurn: 20 }),
        media: new ds.MediaEngine("media"),
        menu: startButton({ name: "menu", pin: pins.MENU }),
        mute: startButton({ name: "mute", pin: pins.MUTE }),
        showColor: strip(pins.LIGHT.gpio, 1),
    }
}

const roles = ds.isSimulator() ? simulatedParts() : boardParts()
roles.showText = await startOled()
await startAppliance("desk-unit", roles)
