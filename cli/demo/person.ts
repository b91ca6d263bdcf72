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

export class Person {
    readonly room: string
    private readonly panel: Panel

    constructor(room: string, panel: Panel) {
        this.room = room
        this.panel = panel
    }

    press(button: ButtonName): Promise<Outcome<number>> {
        return this.panel.press(button)
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
                return failure("timeout", "not-shown", `${this.room}: the screen did not show ${what} in ${withinMs} ms`, {
                    who: "maker",
                    details: { screen: screen.value, log: screen.value.map(line => `| ${line}`) },
                })
            await new Promise(resolve => setTimeout(resolve, lookEveryMs))
        }
    }

    /** In a list: turns the knob until the cursor stands on a line that `wanted` knows, and presses CALL. */
    async choose(what: string, wanted: (line: string) => boolean, withinMs = 5000): Promise<Outcome<undefined>> {
        let screen = await this.waitFor(`a list with ${what}`, withinMs, lines => lines.some(isChosen))
        for (let turns = 0; turns <= listTurnsMax; turns++) {
            if (!screen.ok) return screen
            const chosen = screen.value.find(isChosen) ?? ""
            if (wanted(chosen.slice(1))) {
                const pressed = await this.panel.press("call")
                return pressed.ok ? success(undefined) : pressed
            }
            // Up when the line stands above the cursor, else down.
            const at = screen.value.findIndex(isChosen)
            const above = screen.value.findIndex((line, i) => i > 0 && i < at && wanted(line.slice(1)))
            const turned = await this.panel.turn(above > 0 ? -1 : 1)
            if (!turned.ok) return turned
            const before = screen.value.join("\n")
            screen = await this.waitFor(`a move in the list towards ${what}`, withinMs, now => now.join("\n") !== before)
        }
        return failure("failed", "not-found", `${this.room}: ${what} is not in the list`, { who: "operator" })
    }
}

/** More turns than any list of the panel that the demo uses has lines. */
const listTurnsMax = 40

function isChosen(line: string): boolean {
    return line.startsWith(">")
}
