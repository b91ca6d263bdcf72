/**
 * The panel: what the buttons and the knob mean. Owns the page, the cursor and the booking that is being put together.
 * Never draws (`view.ts`) and never decides about sessions (`appliance.ts`).
 *
 *   home   CALL: whom to call / join / leave    MENU: menu / skip the reminder / stop joining    knob: volume / whom
 *   lists  knob moves, CALL chooses, MENU goes back.  MUTE is MUTE everywhere.
 */

import { limits } from "../../protocol/limits"
import type { AgendaItem } from "../../protocol/messages"
import { isDue } from "../appliance/agenda"
import type { Appliance } from "../appliance/appliance"
import { CallEvent, Phase } from "../appliance/phases"
import { Check, knobPart } from "./check"

export enum Page {
    Home = 0,
    Who = 1,
    When = 2,
    Length = 3,
    Menu = 4,
    Agenda = 5,
    Item = 6,
    Status = 7,
}

/** Where MENU goes back to, a digit for each page. */
const pageBefore = "00120454"

export enum Button {
    Call = 0,
    Menu = 1,
    Mute = 2,
}

/** Minutes that a session can be booked for here. */
export const lengths = [15, 30, 45, 60, 90, 120, 180, 240]
const usualLength = 1
/** Quarter hours ahead that the panel offers: a week. */
const quarterHours = 4 * 24 * 7
const statusRows = 7
/** Left alone, the panel goes home. */
const idleMs = 30000

export class Panel {
    page: Page = Page.Home
    cursor = 0
    /** The session on the page `Item`. */
    item: AgendaItem | undefined
    /** The first quarter hour on offer, fixed while the page is open. */
    firstQuarter = 0
    check = new Check()
    /** When it was last compared with what is shown. */
    lookedAtMs = 0

    private withWhom = ""
    private startSeconds = 0
    private touchedAtMs = 0

    constructor(public appliance: Appliance) {}

    press(button: Button): void {
        const appliance = this.appliance
        this.touchedAtMs = appliance.context.nowMs
        if (this.check.use(button, this.touchedAtMs)) return
        appliance.context.outcome = undefined
        if (button === Button.Mute) appliance.call.toggleMute()
        else if (this.page === Page.Home) this.pressHome(button)
        else if (button === Button.Call) this.choose()
        else this.back()
    }

    turn(steps: number): void {
        const { appliance } = this
        this.touchedAtMs = appliance.context.nowMs
        if (this.check.use(knobPart, this.touchedAtMs)) return
        if (this.page === Page.Home) {
            const phase = appliance.phase()
            if (phase === Phase.InSession || phase === Phase.Joining) appliance.call.turnVolume(steps)
            else if (phase === Phase.Idle) this.openWho()
            return
        }
        const to = this.cursor + steps
        if (this.page === Page.Who && this.turnPage(to)) return
        this.cursor = Math.max(0, Math.min(this.count() - 1, to))
    }

    tick(): void {
        if (this.page !== Page.Home && this.appliance.context.nowMs - this.touchedAtMs > idleMs) this.open(Page.Home)
    }

    /** How many lines the list on this page has. */
    count(): number {
        const appliance = this.appliance
        switch (this.page) {
            case Page.Who:
                return appliance.directory.length
            case Page.When:
                return appliance.context.clock.isKnown() ? 1 + quarterHours : 1
            case Page.Length:
                return lengths.length
            case Page.Agenda:
                return appliance.agenda.length
            case Page.Status:
                return statusRows
            default:
                return 2
        }
    }

    /** The start that a line of the page `When` stands for, Unix seconds; 0 is now. */
    startOf(line: number): number {
        return line === 0 ? 0 : this.firstQuarter + (line - 1) * 900
    }

    isItemDue(): boolean {
        const { link, context } = this.appliance
        return this.item !== undefined && isDue(this.item, link.isOnline, context.nowSeconds())
    }

    private open(page: Page): void {
        if (page === Page.Home) this.appliance.forgetDirectory()
        this.page = page
        this.cursor = 0
    }

    private openWho(): void {
        this.open(Page.Who)
        this.appliance.askDirectory(0)
    }

    private pressHome(button: Button) {
        const { call, context, link } = this.appliance
        const isCall = button === Button.Call
        switch (this.appliance.phase()) {
            case Phase.Reminding: {
                const item = call.reminder
                if (!item) return
                if (isCall) return call.join(item.sid, item.title || item.from)
                call.dismiss(item.sid)
                if (link.isOnline) context.ask("", "decline", { sid: item.sid })
                return
            }
            case Phase.Joining:
                if (!isCall) call.on(CallEvent.Leave)
                return
            case Phase.InSession:
                if (isCall) return call.on(CallEvent.Leave)
                return this.open(Page.Menu)
            case Phase.Idle:
                if (isCall) return this.openWho()
                return this.open(Page.Menu)
            default:
                if (!isCall) this.open(Page.Menu)
        }
    }

    /** Past either end of a page of the directory there may be another. */
    private turnPage(to: number): boolean {
        const { directory, directoryFrom, hasMoreDirectory } = this.appliance
        const count = directory.length
        if (count === 0) return true
        let from = directoryFrom
        if (to >= count && hasMoreDirectory) from += count
        else if (to < 0) from = Math.max(0, from - limits.directoryPage)
        if (from === directoryFrom) return false
        this.appliance.askDirectory(from)
        this.cursor = 0
        return true
    }

    private choose() {
        const { appliance, item } = this
        const line = this.cursor
        switch (this.page) {
            case Page.Who: {
                const entry = appliance.directory[line]
                if (!entry) return
                this.withWhom = entry.id
                // Not sooner than in five minutes: nearer than that is "now".
                this.firstQuarter = Math.ceil((appliance.context.nowSeconds() + 300) / 900) * 900
                return this.open(Page.When)
            }
            case Page.When:
                this.startSeconds = this.startOf(line)
                this.open(Page.Length)
                this.cursor = usualLength
                return
            case Page.Length:
                appliance.book(this.withWhom, this.startSeconds, lengths[line])
                return this.open(Page.Home)
            case Page.Menu:
                return this.open(line === 0 ? Page.Agenda : Page.Status)
            case Page.Agenda:
                this.item = appliance.agenda[line]
                if (this.item) this.open(Page.Item)
                return
            case Page.Item:
                if (!item || (line === 0 && !this.isItemDue())) return
                if (line === 0) appliance.call.join(item.sid, item.title || item.from)
                else appliance.drop(item)
                this.open(Page.Home)
        }
    }

    private back(): void {
        this.open(pageBefore.charCodeAt(this.page) - 48)
    }
}
