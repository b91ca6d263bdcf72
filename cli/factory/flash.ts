/**
 * Writes an image over a serial cable with esptool-js and has the chip say what it then holds. Owns the port for that time.
 */

import { createHash } from "node:crypto"
import { ESPLoader, Transport } from "esptool-js"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import { chips, type FactoryBoard } from "./boards.ts"
import { WebSerialPort } from "./web-serial.ts"

export interface Flashed {
    chip: string
    bytes: number
    /** MD5 as the chip computed it over its flash; equal to that of the image. */
    md5: string
}

const romBaud = 115_200

export interface FlashOptions {
    board: FactoryBoard
    image: Uint8Array
    path: string
    baud: number
    progress: (text: string) => void
}

export async function flashImage({ board, image, path, baud, progress }: FlashOptions): Promise<Outcome<Flashed>> {
    const port = new WebSerialPort(path)
    const transport = new Transport(port as never)
    const quiet = console.log
    // The library traces on the console, which belongs to the answer.
    console.log = () => {}
    try {
        const terminal = { clean() {}, write() {}, writeLine: (line: string) => progress(line) }
        const loader = new ESPLoader({ transport, baudrate: baud, romBaudrate: romBaud, terminal })
        await loader.main()
        const chip = loader.chip.CHIP_NAME
        const wanted = chips[board.archId].family
        if (chip !== wanted)
            return failure("failed", "wrong-chip", `${path} is an ${chip}, and ${board.name} has an ${wanted}`, {
                who: "you",
                next: "the right board on that port, or the right unit for that board",
            })
        let shown = -1
        await loader.writeFlash({
            fileArray: [{ data: image, address: 0 }],
            flashMode: "keep",
            flashFreq: "keep",
            flashSize: "keep",
            eraseAll: false,
            compress: true,
            reportProgress: (_file, written, total) => {
                const tenth = Math.floor((written * 10) / total)
                if (tenth !== shown) progress(`${tenth * 10} % written`)
                shown = tenth
            },
        })
        const md5 = await loader.flashMd5sum(0, image.length)
        if (md5 !== createHash("md5").update(image).digest("hex"))
            return failure("failed", "read-back", `what ${path} holds is not what was written`, {
                who: "you",
                next: "flash it again; a unit that fails twice has a bad flash or cable",
            })
        await loader.after("hard_reset")
        return success({ chip, bytes: image.length, md5 })
    } catch (error) {
        const hint = port.hasNoSignals
            ? "hold BOOT while you plug it in"
            : "is that the board's port, and is nothing else using it?"
        return failure("failed", "flash", `${path}: ${messageOf(error)}`, { who: "you", next: hint })
    } finally {
        await transport.disconnect().catch(() => {})
        console.log = quiet
    }
}
