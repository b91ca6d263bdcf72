/**
 * The display of the ESP32-S3-BOX-3: 320 x 240 with an ILI9342C on SPI, as a bar of light above four lines of 20
 * characters. The whole picture would be 38 KB of a heap of 64 KB, so it is drawn in strips of 16 rows, one after the other.
 * Draws in the simulator too, so that what it costs is measured there; only the transmission is the hardware's.
 */

import * as ds from "@devicescript/core"
import { FourWireDriver, type FourWireOptions } from "@devicescript/drivers"
import { font8, Image, Palette, SpiImageFlags, scaledFont, spiSendImage } from "@devicescript/graphics"

const width = 320
const height = 240
const stripHeight = 16
const margin = 40
const firstLineY = 64
const lineHeight = 40
const letters = 1
const light = 2

/** Command, arguments and, with 80 added to their count, milliseconds to wait. */
const start = hex`
01 80 78       // reset
C8 03 FF 93 42 // the commands of the ILI9342C
3A 01 55       // 16 bits a pixel
36 01 C8       // mounted upside down, blue first
11 80 78       // awake
29 80 0A       // on
`
const setColumns = 0x2a
const setRows = 0x2b
const writePixels = 0x2c

export class Lcd extends FourWireDriver<FourWireOptions> {
    private strip = Image.alloc(width, stripHeight, 4)
    private palette = Palette.arcade()
    private font = scaledFont(font8(), 2)
    private shown: string[] = []

    /** After the reset of the panel, which is not the driver's: the BOX-3 has it inverted. */
    async init(): Promise<void> {
        await this.initPins()
        await this.sendSeq(start)
        this.strip.fill(0)
        for (let y = 0; y < height; y += stripHeight) await this.send(y)
    }

    /** Only lines that have changed: a line of large letters is thousands of steps. */
    async showText(text: string): Promise<void> {
        const lines = text.split("\n")
        for (let i = 0; i < lines.length; i++) {
            if (lines[i] === this.shown[i]) continue
            // A program that does not rest for the steps of four lines would be stopped.
            await ds.sleep(0)
            this.strip.fill(0)
            this.strip.print(lines[i], margin, 0, letters, this.font)
            await this.send(firstLineY + i * lineHeight)
        }
        this.shown = lines
    }

    async showColor(color: number): Promise<void> {
        this.palette.setAt(light, color)
        this.strip.fill(light)
        await this.send(stripHeight)
    }

    /** Shows the strip at row `y`. */
    private async send(y: number): Promise<void> {
        if (ds.isSimulator()) return
        const lastColumn = width - 1
        const lastRow = y + stripHeight - 1
        await this.sendCmd(setColumns, 0, 0, lastColumn >> 8, lastColumn & 255)
        await this.sendCmd(setRows, 0, y, 0, lastRow)
        await this.cmdPrep(writePixels)
        await spiSendImage({
            spi: this.options.spi,
            image: this.strip,
            palette: this.palette,
            flags: SpiImageFlags.MODE_565 | SpiImageFlags.BY_ROW,
        })
        await this.cmdFinish()
    }
}
