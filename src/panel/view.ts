/**
 * What the panel shows and sounds: a pure function of the appliance's and the panel's state. Never acts.
 */

import type { AgendaItem } from "../../protocol/messages"
import type { Appliance } from "../appliance/appliance"
import type { Outcome } from "../appliance/context"
import { Phase } from "../appliance/phases"
import { dayOf, timeOfDay } from "../clock"
import { partNames } from "./check"
import { lengths, Page, type Panel } from "./panel"
import { columns, cut, pair, reasonWords, wordsFor } from "./words"

export interface View {
    /** Four lines of at most 20 code points. */
    text: string
    /** 0xRRGGBB. */
    led: number
    /** Names the sound; it is played once whenever the name changes to another than "". */
    sound: string
    /** In Hz. */
    pitch: number
}

/** A reminder sounds this often, this far apart. */
const chimes = 8
const chimeEveryMs = 15000
const outcomeMs = 5000

export function viewOf(panel: Panel): View {
    const appliance = panel.appliance
    if (panel.check.isOn(appliance.context.nowMs)) return checkView(panel)
    const lines = panel.page === Page.Home ? homeLines(appliance) : pageLines(panel)
    // Whatever is shown: that the microphone is off must be seen.
    if (appliance.call.muted && lines.join("").indexOf("MUTED") < 0) lines[0] = pair(lines[0], "MUTED")
    return { text: textOf(lines), led: ledOf(appliance), ...soundOf(appliance) }
}

function checkView(panel: Panel): View {
    const { check, appliance } = panel
    const { identity, nowMs } = appliance.context
    const unused = check.used ? check.used.map((used, part) => (used ? "" : partNames[part])) : undefined
    const lines = unused ? ["Self-test", "Press and turn", unused.join(" ")] : ["This one is meant", identity.id, ""]
    lines.push(appliance.call.muted ? "MUTED" : "")
    const led = unused || Math.floor(nowMs / 500) & 1 ? 0x404040 : 0
    return { text: textOf(lines), led, sound: `check${check.startedMs}`, pitch: 880 }
}

function textOf(lines: string[]): string {
    return lines.map(line => cut(line, columns)).join("\n")
}

function titleLine(appliance: Appliance): string {
    const name = appliance.link.name || appliance.context.identity.id || "Parley"
    const seconds = appliance.context.nowSeconds()
    return pair(name, seconds < 0 ? "" : timeOfDay(seconds, appliance.context.identity.zoneMinutes))
}

function titleOf(item: AgendaItem): string {
    return item.title || item.from
}

// ---- home ---------------------------------------------------------------------------------------------------------------

function homeLines(appliance: Appliance): string[] {
    const { link, call, context } = appliance
    const title = titleLine(appliance)
    const phase = appliance.phase()
    const outcome = context.outcome
    const isFresh = outcome !== undefined && context.nowMs - outcome.atMs < outcomeMs
    if (outcome && isFresh && !(outcome.kind === "done" && phase > Phase.Idle)) return outcomeLines(appliance, outcome)
    const microphone = call.muted ? "MUTED" : ""
    switch (phase) {
        case Phase.Unprovisioned:
            return [title, "Not set up yet", "Ask your operator", "to enrol this panel"]
        case Phase.Refused:
            return [title, "Not accepted:", wordsFor(`${link.denial}`, "wrong version"), "Call your operator"]
        case Phase.Connecting:
            return [title, "Connecting ...", "", pair("MENU status", microphone)]
        case Phase.Registering:
        case Phase.Choosing:
        case Phase.Attaching:
            return [title, linkText(appliance), nextText(appliance), pair("MENU status", microphone)]
        case Phase.Idle:
            return [title, idleText(appliance), nextText(appliance), "CALL calls MENU menu"]
        case Phase.Reminding: {
            const item = call.reminder
            if (!item) return [title]
            const from = item.mine ? "your session" : `from ${item.from}`
            return [title, titleOf(item), pair(from, microphone), "CALL joins MENU skip"]
        }
        case Phase.Joining:
            return [title, call.title, pair(`${call.isRejoining ? "Rejoin" : "Join"}ing ...`, microphone), "MENU stops"]
        case Phase.InSession: {
            const people = call.speaker === "" ? `${call.people} in session` : `${call.people}: ${call.speaker}`
            const name = pair(call.title, call.isRecorded ? "REC" : "")
            const hint = call.loss > 0 ? `Network loses ${call.loss} %` : pair("CALL leaves", `vol ${call.volume}`)
            return [title, name, pair(people, microphone), hint]
        }
        case Phase.Leaving:
            return [title, call.title, "Leaving ..."]
    }
}

/** Why it is not ready yet. */
function linkText(appliance: Appliance): string {
    const { link, context } = appliance
    if (link.reason !== "") return reasonWords(link.reason)
    if (link.phase === Phase.Choosing && !context.isMediaUp) return "No sound module"
    return "Getting ready ..."
}

function idleText(appliance: Appliance): string {
    const requests = appliance.context.requests
    let text = "Ready"
    if (requests.has("book")) text = "Booking ..."
    else if (requests.has("cancel")) text = "Cancelling ..."
    else if (requests.has("decline")) text = "Declining ..."
    return pair(text, appliance.call.muted ? "MUTED" : "")
}

function nextText(appliance: Appliance): string {
    const item = appliance.agenda.find(one => one.state !== "ended")
    if (!item) return "Nothing booked"
    return `${timeOfDay(item.start, appliance.context.identity.zoneMinutes)} ${titleOf(item)}`
}

function outcomeLines(appliance: Appliance, outcome: Outcome): string[] {
    const title = titleLine(appliance)
    const time = outcome.timeSeconds > 0 ? timeOfDay(outcome.timeSeconds, appliance.context.identity.zoneMinutes) : ""
    if (outcome.kind === "done")
        return [title, wordsFor(outcome.verb, "Session has ended"), time === "" ? "" : `for ${time}`, ""]
    const next = time === "" ? "" : `Free at ${time}`
    const fix = outcome.kind === "expired" ? "Try again" : wordsFor(outcome.who, "Try again later")
    return [title, reasonWords(outcome.reason), next || fix, next ? fix : ""]
}

// ---- pages --------------------------------------------------------------------------------------------------------------

function pageLines(panel: Panel): string[] {
    const appliance = panel.appliance
    const item = panel.item
    switch (panel.page) {
        case Page.Who: {
            if (appliance.directory.length > 0) return listLines(panel, "Whom?   CALL chooses")
            const text = appliance.context.requests.has("directory") ? "Asking ..." : "Nobody to call"
            const outcome = appliance.context.outcome
            return ["Whom?", outcome ? reasonWords(outcome.reason) : text, "", "MENU back"]
        }
        case Page.When:
            return listLines(panel, "When?   CALL chooses")
        case Page.Length:
            return listLines(panel, "How long? CALL books")
        case Page.Menu:
            return listLines(panel, "Menu    CALL chooses")
        case Page.Agenda:
            if (appliance.agenda.length === 0) return ["Agenda", "Nothing booked", "", "MENU back"]
            return listLines(panel, appliance.more > 0 ? pair("Agenda", `+${appliance.more} more`) : "Agenda")
        case Page.Item:
            if (!item) return [""]
            return listLines(panel, `${timeOfDay(item.start, appliance.context.identity.zoneMinutes)} ${titleOf(item)}`)
        default:
            return listLines(panel, "Status     MENU back")
    }
}

/** A heading and the three lines around the cursor. */
function listLines(panel: Panel, heading: string): string[] {
    const count = panel.count()
    const first = Math.max(0, Math.min(panel.cursor - 1, count - 3))
    const lines = [heading]
    for (let i = first; i < first + 3; i++)
        lines.push(i < count ? (i === panel.cursor ? ">" : " ") + lineText(panel, i) : "")
    return lines
}

function lineText(panel: Panel, line: number): string {
    const appliance = panel.appliance
    const zone = appliance.context.identity.zoneMinutes
    switch (panel.page) {
        case Page.Who: {
            const entry = appliance.directory[line]
            return entry.kind === "group" ? `${entry.name} (all)` : entry.name
        }
        case Page.When: {
            if (line === 0) return "Now"
            const start = panel.startOf(line)
            const days = dayOf(start, zone) - dayOf(appliance.context.nowSeconds(), zone)
            const day = days === 0 ? "" : days === 1 ? "tomorrow " : `in ${days} days `
            return day + timeOfDay(start, zone)
        }
        case Page.Length:
            return `${lengths[line]} minutes`
        case Page.Menu:
            return line === 0 ? "Agenda" : "Status"
        case Page.Agenda: {
            const item = appliance.agenda[line]
            return `${timeOfDay(item.start, zone)} ${titleOf(item)}`
        }
        case Page.Item:
            if (line === 0) return panel.isItemDue() ? "Join" : "Not open yet"
            return panel.item && panel.item.mine ? "Cancel for all" : "Decline"
        default:
            return statusText(appliance, line)
    }
}

function statusText(appliance: Appliance, line: number): string {
    const link = appliance.link
    const { identity, clock, nowMs } = appliance.context
    const { id, boot, firmware } = identity
    return [
        link.isAttached() ? `server ${link.serverId()}` : "no server",
        link.server ? `delay ${Math.round(link.server.rttUs / 100) / 10} ms` : "no delay",
        clock.isKnown() ? `clock +-${clock.errorMs(nowMs)} ms` : "clock not known",
        `id ${id}`,
        link.isOnline ? "broker connected" : "broker not reached",
        `boot ${boot}`,
        `fw ${firmware}`,
    ][line]
}

// ---- light and sound ----------------------------------------------------------------------------------------------------

function ledOf(appliance: Appliance): number {
    const muted = appliance.call.muted
    const isBright = Math.floor(appliance.context.nowMs / 500) & 1
    return [
        // Unprovisioned, Connecting, Refused, Registering, Choosing, Attaching
        ...[0x200020, 0x000020, 0x400000, 0x000020, 0x000020, 0x000020],
        // Idle, Reminding
        ...[muted ? 0x100400 : 0x001000, isBright ? 0x201000 : 0x604000],
        // Joining, InSession, Leaving
        ...[0x303000, muted ? 0x800000 : 0x008000, 0x303000],
    ][appliance.phase()]
}

function soundOf(appliance: Appliance): { sound: string; pitch: number } {
    const { call, context } = appliance
    const outcome = context.outcome
    if (outcome && outcome.kind !== "done") return { sound: `no${outcome.atMs}`, pitch: 220 }
    const phase = appliance.phase()
    if (phase === Phase.Reminding) {
        const chime = Math.floor((context.nowMs - call.remindedAtMs) / chimeEveryMs)
        if (chime < chimes) return { sound: `remind${chime}`, pitch: 660 }
    }
    if (phase === Phase.InSession && !call.isRejoining) return { sound: `in${call.sid}`, pitch: 880 }
    return { sound: "", pitch: 0 }
}
