/**
 * The appliance's next sessions: which one is due, and how they are kept in flash. Never reads flash or a clock.
 */

import { limits } from "../../protocol/limits"
import type { AgendaItem } from "../../protocol/messages"
import { itemNote } from "../../protocol/notes"
import { utf8Bytes } from "../../protocol/text"
import { toJson } from "../json"
import { hasShape, ownRecord } from "./answers"

/** A setting holds about 220 bytes. */
const settingBytes = 210

/** One session, or that there is none, as the text of a setting; a name that would not fit is left out. */
export function packItem(item: AgendaItem | undefined): string {
    return item ? fitting(item, { ...item, title: "", from: "" }) : '""'
}

/** `value` as the text of a setting, or `shorter` when it would not fit. */
export function fitting(value: any, shorter: any): string {
    const text = toJson(value)
    return utf8Bytes(text) <= settingBytes ? text : toJson(shorter)
}

/** Either may be undefined. Not by their texts: ten of those at a time are more than the machine's limit of steps. */
export function isSameItem(a: AgendaItem | undefined, b: AgendaItem | undefined): boolean {
    if (!a || !b) return a === b
    const isSameText = a.sid === b.sid && a.title === b.title && a.from === b.from && a.state === b.state
    return isSameText && a.mine === b.mine && a.start === b.start && a.end === b.end
}

/** The session in a setting's value, or undefined: flash is an outside input. */
export function unpackItem(value: any): AgendaItem | undefined {
    return hasShape(itemNote, value) ? ownRecord(value) : undefined
}

/**
 * Whether a session can be joined now. Connected, the group server says so; cut off, the own clock does
 * (`nowSeconds` < 0: the time is not known).
 */
export function isDue(item: AgendaItem, isOnline: boolean, nowSeconds: number): boolean {
    if (isOver(item, isOnline, nowSeconds)) return false
    if (item.state === "opening" || item.state === "open") return true
    return !isOnline && nowSeconds >= item.start - limits.openingSeconds
}

export function isOver(item: AgendaItem, isOnline: boolean, nowSeconds: number): boolean {
    return item.state === "ended" || (!isOnline && nowSeconds > item.end)
}
