/**
 * A person in front of an appliance: reads its screen, presses its buttons, turns its knob, and knows nothing else. What
 * the demo books and joins goes through here, so that it proves what a person could do.
 */
import { failure, type Outcome, success } from "../outcome.ts"

export type ButtonName = "call" | "mute" | "menu"

/** The outside of one board. */
export interface Panel {
    screen(): Promise<Outcome<string[]>>
    /** When the press took effect, milliseconds of the simulator's clock. */
    press(button: ButtonName): Promise<Outcome<number>>
    turn(steps: number): Promise<Outcome<undefined>>
}

const lookEveryMs = 25
const pressEveryMs = 200

export class Person {
    readonly room: string
    private readonly panel: Panel
    private pressedAtMs = Number.NEGATIVE_INFINITY

    constructor(room: string, panel: Panel) {
        this.room = room
        this.panel = panel
    }

    /** Not sooner than a finger can: a button that is still down cannot be pressed again. */
    async press(button: ButtonName): Promise<Outcome<number>> {
        const waitMs = this.pressedAtMs + pressEveryMs - performance.now()
        if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
        const pressed = await this.panel.press(button)
        this.pressedAtMs = performance.now()
        return pressed
    }

    screen(): Promise<Outcome<string[]>> {
        return this.panel.screen()
    }

    /** Looks at the screen until it shows what `shows` wants. */
    async waitFor(what: string, withinMs: number, shows: (lines: string[]) => boolean): Promise<Outcome<string[]>> {
        const endMs = performance.now() + withinMs
        for (;;) {
            const screen = await this.panel.screen()
            if (!screen.ok) return screen
            if (shows(screen.value)) return screen
            if (performance.now() > endMs)
                return failure(
                    "timeout",
                    "not-shown",
                    `${this.room}: the screen did not show ${what} in ${withinMs} ms`,
                    {
                        who: "maker",
                        details: { screen: screen.value, log: screen.value.map(line => `| ${line}`) },
                    },
                )
            await new Promise(resolve => setTimeout(resolve, lookEveryMs))
        }
    }

    /** On the list that begins with `heading`: turns the knob until the cursor stands on a wanted line, and presses CALL. */
    async choose(
        heading: string,
        what: string,
        wanted: (line: string) => boolean,
        withinMs = 5000,
    ): Promise<Outcome<undefined>> {
        const isList = (lines: string[]) => lines[0].startsWith(heading) && lines.some(isChosen)
        let screen = await this.waitFor(`the list "${heading}"`, withinMs, isList)
        for (let turns = 0; turns <= listTurnsMax; turns++) {
            if (!screen.ok) return screen
            const at = screen.value.findIndex(isChosen)
            if (wanted(screen.value[at].slice(1).trimEnd())) {
                const pressed = await this.press("call")
                return pressed.ok ? success(undefined) : pressed
            }
            const isAbove = screen.value.some((line, i) => i > 0 && i < at && wanted(line.slice(1).trimEnd()))
            const turned = await this.panel.turn(isAbove ? -1 : 1)
            if (!turned.ok) return turned
            const before = screen.value.join("\n")
            screen = await this.waitFor(
                `${what} further down the list`,
                withinMs,
                now => isList(now) && now.join("\n") !== before,
            )
        }
        return failure("failed", "not-found", `${this.room}: ${what} is not in the list`, { who: "operator" })
    }
}

/** More turns than any list of the panel that the demo uses has lines. */
const listTurnsMax = 40

function isChosen(line: string): boolean {
    return line.startsWith(">")
}
