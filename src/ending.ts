/**
 * How a life of the program ends, and what the next one tells the group server about the last. Owns the log's end and
 * the key `end` in flash, which is written when a life ends by itself and at no other time. Never sends anything.
 *
 * What the program cannot catch (no memory, too many steps, calls nested too deeply) ends it without a word. The machine then
 * starts it anew and has been up for a while: that is how it is known. A chip that was reset looks like power that came.
 */

import * as ds from "@devicescript/core"
import type { Crash } from "../protocol/messages"
import { crashNote } from "../protocol/notes"
import { fitting } from "./appliance/agenda"
import { hasShape } from "./appliance/answers"
import { readSetting, saveSetting } from "./settings"

/** Characters; with the rest of the record both fit into a setting as long as they are ASCII. */
const textLength = 56
const logLength = 72
/** Hexadecimal digits of the places where an exception came from: four of them, the innermost first. */
const placeDigits = 16
/** A machine starts its program sooner than this after its own start, and later than this after a panic, which costs 5.2 s. */
const firstStartMs = 6000
/** What is said over Jacdac is out before the program ends. */
const lastWordsMs = 100

const startedMs = ds.millis()
/** The end of it. */
let log = ""
let boot = 0

/** Adds to the log. */
export function note(what: string): void {
    log = `${log}${seconds()} ${what}, `.slice(-logLength)
}

function seconds(): number {
    return Math.floor(ds.millis() / 1000)
}

/** Ends this life; "wanted" is nothing that anybody must be told of. */
export async function endLife(kind: string, text: string): Promise<void> {
    const end = { kind, text: text.slice(0, textLength), boot, seconds: seconds(), log }
    await saveSetting("end", fitting(end, { ...end, text: "", log: "" }))
    await ds.sleep(lastWordsMs)
    ds.restart()
}

/** Does a task, which may be one for ever; an exception ends the program, but not without a word. */
export async function guard(task: any, first?: any, second?: any): Promise<void> {
    try {
        await task(first, second)
    } catch (error: any) {
        const places = error.__stack__ ? error.__stack__.toString("hex").slice(0, placeDigits) : ""
        await endLife("exception", `${places} ${error.name}: ${error.message}`)
    }
}

/** What the last life ended by, if it did so by itself; this one is number `number`. */
export async function lastEnd(number: number): Promise<Crash> {
    boot = number
    const end = await readSetting("end")
    if (hasShape(crashNote, end) && end.boot === boot - 1) return end.kind === "wanted" ? undefined : end
    if (boot < 2 || startedMs < firstStartMs) return undefined
    return { kind: "panic", text: "", boot: boot - 1, seconds: seconds(), log: "" }
}
