/**
 * The hardware of the board `parley_room_panel`: which pin is what. In the simulator, and for the modules on the Jacdac
 * bus (screen, media engine), roles find their hardware by themselves. Owns pins; never reads or writes them.
 */

import * as ds from "@devicescript/core"
import { startButton, startBuzzer, startRotaryEncoder } from "@devicescript/servers"
import { pins } from "@dsboard/parley_room_panel"

type RawLight = typeof ds & {
    ledStripSend(gpio: number, colors: Buffer): Promise<void>
}

export type Roles = ReturnType<typeof boardRoles>

/** The board's own buttons, knob and buzzer in place of simulated ones. */
export function boardRoles(screen: ds.CharacterScreen, media: ds.MediaEngine) {
    return {
        buzzer: startBuzzer({ name: "buzzer", pin: pins.BUZZER }),
        call: startButton({ name: "call", pin: pins.CALL }),
        knob: startRotaryEncoder({ name: "knob", pin0: pins.KNOB_A, pin1: pins.KNOB_B, clicksPerTurn: 20 }),
        // Undefined: the board's own light (`showLight`).
        led: undefined as ds.Led,
        media,
        menu: startButton({ name: "menu", pin: pins.MENU }),
        mute: startButton({ name: "mute", pin: pins.MUTE }),
        screen,
    }
}

/** The board's one WS2812 light takes green first. */
export async function showLight(color: number): Promise<void> {
    await (ds as RawLight).ledStripSend(pins.LIGHT.gpio, Buffer.from([(color >> 8) & 255, color >> 16, color & 255]))
}
