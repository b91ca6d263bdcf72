/** WS2812 lights of a board, all in one color. */

import * as ds from "@devicescript/core"

type WithStrip = typeof ds & {
    ledStripSend(gpio: number, colors: Buffer): Promise<void>
}

export function strip(gpio: number, count: number): (color: number) => Promise<void> {
    const colors = Buffer.alloc(count * 3)
    return async color => {
        for (let i = 0; i < colors.length; i += 3) {
            // They take green first.
            colors[i] = (color >> 8) & 255
            colors[i + 1] = color >> 16
            colors[i + 2] = color & 255
        }
        await (ds as WithStrip).ledStripSend(gpio, colors)
    }
}
