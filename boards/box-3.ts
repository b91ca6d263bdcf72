/** The ESP32-S3-BOX-3 on its BREAD dock, with a knob, three buttons and a buzzer there (docs/boards/box-3.md). */

import * as ds from "@devicescript/core"
import "@devicescript/gpio"
import { startButton, startBuzzer, startRotaryEncoder } from "@devicescript/servers"
import { spi } from "@devicescript/spi"
import { pins } from "@dsboard/box_3"
import { simulatedParts, startAppliance } from "../src/app"
import type { Roles } from "../src/appliance/runner"
import { Lcd } from "./lcd"

const displayHz = 20000000
const resetMs = 20

/** Said for each board anew: the compiler reads these pins where they are named and takes no function that is given them. */
function boardParts(lcd: Lcd): Roles {
    return {
        buzzer: startBuzzer({ name: "buzzer", pin: pins.BUZZER }),
        call: startButton({ name: "call", pin: pins.CALL }),
        knob: startRotaryEncoder({ name: "knob", pin0: pins.KNOB_A, pin1: pins.KNOB_B, clicksPerTurn: 20 }),
        media: new ds.MediaEngine("media"),
        menu: startButton({ name: "menu", pin: pins.MENU }),
        mute: startButton({ name: "mute", pin: pins.MUTE }),
        showColor: async color => await lcd.showColor(color),
    }
}

async function startLcd(): Promise<Lcd> {
    const lcd = new Lcd({ cs: pins.LCD_CS, dc: pins.LCD_DC, spi: spi })
    if (!ds.isSimulator()) {
        spi.configure({ mosi: pins.LCD_DATA, sck: pins.LCD_CLOCK, hz: displayHz })
        // This panel resets while the pin is high.
        pins.LCD_RESET.setMode(ds.GPIOMode.OutputHigh)
        await ds.sleep(resetMs)
        pins.LCD_RESET.setMode(ds.GPIOMode.OutputLow)
        await ds.sleep(resetMs)
    }
    await lcd.init()
    if (!ds.isSimulator()) pins.LCD_LIGHT.setMode(ds.GPIOMode.OutputHigh)
    return lcd
}

const lcd = await startLcd()
const roles = ds.isSimulator() ? simulatedParts() : boardParts(lcd)
roles.showText = async text => await lcd.showText(text)
await startAppliance("box-3", roles)
