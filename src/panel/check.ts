/**
 * What takes the panel for a while because a field tool asks for it: identify, and the self-test with a verdict for each
 * part that a person uses. Never draws (`view.ts`) and never touches hardware.
 */

const identifyMs = 10000
const testMs = 60000

/** The parts that a person uses: the buttons by their numbers, and the knob. */
export const partNames = ["CALL", "MENU", "MUTE", "knob"]
export const knobPart = 3

export class Check {
    /** Which part a person has used since the test began; undefined when identify is what came last, or nothing. */
    used: boolean[] | undefined
    startedMs = 0
    private untilMs = 0

    begin(isTest: boolean, nowMs: number): void {
        this.startedMs = nowMs
        this.untilMs = nowMs + (isTest ? testMs : identifyMs)
        this.used = isTest ? [false, false, false, false] : undefined
    }

    isOn(nowMs: number): boolean {
        return nowMs < this.untilMs
    }

    /** Whether the test took it, so that it does nothing else. */
    use(part: number, nowMs: number): boolean {
        if (!this.used || !this.isOn(nowMs)) return false
        this.used[part] = true
        if (this.used.indexOf(false) < 0) this.untilMs = nowMs
        return true
    }
}
