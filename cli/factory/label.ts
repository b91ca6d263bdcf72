/**
 * The label on a unit: a QR code of its identity, and in words what people look for. Never holds a secret.
 */

import QRCode from "qrcode"
import type { WantedUnit } from "./units.ts"

/** "parley:room-panel-0123456789?board=room-panel" */
export function codeText({ id, board }: WantedUnit): string {
    return `parley:${id}?board=${encodeURIComponent(board)}`
}

/** 62 x 29 mm, a usual size of label printers. */
export async function svgLabel(unit: WantedUnit): Promise<string> {
    const code = QRCode.create(codeText(unit), { errorCorrectionLevel: "M" })
    const { size, data } = code.modules
    const module = 25 / size
    let squares = ""
    for (let i = 0; i < data.length; i++) if (data[i]) squares += `M${i % size} ${Math.floor(i / size)}h1v1h-1z`
    const lines = [
        [unit.name, 3.6],
        [unit.room, 3],
        [unit.id, 2.6],
        [unit.board, 2.6],
    ] as const
    const texts = lines
        .filter(([text]) => text !== "")
        .map(
            ([text, height], i) =>
                `<text x="29" y="${7 + i * 5.5}" font-size="${height}" textLength="${Math.min(31, text.length * height * 0.55).toFixed(1)}" lengthAdjust="spacingAndGlyphs">${escaped(text)}</text>`,
        )
    return [
        '<svg xmlns="http://www.w3.org/2000/svg" width="62mm" height="29mm" viewBox="0 0 62 29" font-family="sans-serif">',
        '<rect width="62" height="29" fill="white"/>',
        `<path transform="translate(2 2) scale(${module})" d="${squares}" shape-rendering="crispEdges"/>`,
        ...texts,
        "</svg>\n",
    ].join("\n")
}

/** The code alone: a picture holds no fonts. */
export function pngCode(unit: WantedUnit): Promise<Buffer> {
    return QRCode.toBuffer(codeText(unit), { errorCorrectionLevel: "M", scale: 8 })
}

function escaped(text: string): string {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
}
