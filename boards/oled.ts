/**
 * The display of the small boards: an OLED of 128 x 64 on I2C with an SSD1306, as four lines of 20 characters.
 * Draws in the simulator too, so that what it costs is measured there; only the transmission is the hardware's.
 */

import { SSD1306Driver } from "@devicescript/drivers"

const margin = 4
const lineHeight = 16

/** A display that does not answer leaves the panel dark, not dead: sound, light and buttons work. */
export async function startOled(): Promise<(text: string) => Promise<void>> {
    const oled = new SSD1306Driver({ width: 128, height: 64 })
    try {
        await oled.init()
    } catch {
        console.error("the OLED does not answer")
    }
    return async text => {
        oled.image.fill(0)
        let y = margin
        for (const line of text.split("\n")) {
            oled.image.print(line, margin, y)
            y += lineHeight
        }
        try {
            await oled.show()
        } catch {
            console.error("the OLED does not answer")
        }
    }
}
