/**
 * How a life of the program ends, and what the next one tells the group server about the last. Owns the last log lines and
 * the key `end` in flash, which is written when a life ends by itself and at no other time. Never sends anything.
 *
 * What the program cannot catch (no memory, too many steps, calls nested too deeply) ends it without a word. The machine then
 * starts it anew and has been up for a while: that is how it is known. A chip that was reset looks like power that came.
 */

import * as ds from "@devicescript/core"
import { limits } from "../protocol/limits"
import { crashNote } from "../protocol/notes"
import { hasShape } from "./appliance/answers"
import { toJson } from "./json"
import { readSetting, saveSetting } from "./settings"

/** Characters: with the log it must fit into a setting. */
const lineLength = 24
const textLength = 40
/** A machine starts its program sooner than this after its own start, and later than this after a panic. */
const firstStartMs = 4000
/** What is said over Jacdac is out before the program ends. */
const lastWordsMs = 100

const log: string[] = []
let boot = 0

/** A line of the log, of which the last few are in the report. */
export function note(line: string): void {
    log.push(`${seconds()} ${line}`.slice(0, lineLength))
    if (log.length > limits.crashLogLines) log.shift()
}

function seconds(): number {
    return Math.floor(ds.millis() / 1000)
}

/** Ends this life; "wanted" is nothing that anybody must be told of. */
export async function endLife(kind: string, text: string): Promise<void> {
    await saveSetting("end", toJson({ kind, text: text.slice(0, textLength), boot, seconds: seconds(), log }))
    await ds.sleep(lastWordsMs)
    ds.restart()
}

/** Does a task, which may be one for ever; an exception ends the program, but not without a word. */
export async function guard(task: any, first?: any, second?: any): Promise<void> {
    try {
        await task(first, second)
    } catch (error: any) {
        await endLife("exception", `${error.name}: ${error.message}`)
    }
}

/** What the last life ended by, if it did so by itself; this one is number `number`. */
export async function lastEnd(number: number): Promise<any> {
    boot = number
    const end = await readSetting("end")
    if (hasShape(crashNote, end) && end.boot === boot - 1) return end.kind === "wanted" ? undefined : end
    if (boot < 2 || ds.millis() < firstStartMs) return undefined
    return { kind: "panic", text: "", boot: boot - 1, seconds: seconds(), log: [] }
}
