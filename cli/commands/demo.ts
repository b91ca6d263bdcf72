/**
 * `parley demo`: runs the first call, says each step as it is done, prints what was measured.
 */
import { printFigures } from "../../bench/figures.ts"
import { runDemo } from "../demo/demo.ts"
import { type Outcome, success } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"

export function addDemoCommand(shell: Shell): void {
    shell.verb(shell.program, {
        name: "demo",
        about: "the first call from end to end in a system of its own; prints what it measured",
        options: [
            ["--wav <file>", "what is said (default: the sample of the project)"],
            ["--keep", "keep logs and recordings, and say where"],
        ],
        examples: ["parley demo", "parley demo --json --wav my-voice.wav"],
        run: demo,
    })
}

async function demo({ flags, output }: Call): Promise<Outcome<Answer>> {
    const stopping = new AbortController()
    let asked = 0
    for (const name of ["SIGINT", "SIGTERM"] as const)
        process.on(name, () => {
            asked++
            if (asked > 1) process.exit(130)
            stopping.abort()
        })
    const report = await runDemo({
        wav: flags.wav as string | undefined,
        keep: flags.keep === true,
        signal: stopping.signal,
        onStep: ({ name, ok, durationMs, note }) => {
            const tick = ok ? output.paint("good", "✓") : output.paint("bad", "✗")
            const seconds = `${(durationMs / 1000).toFixed(1)} s`.padStart(7)
            output.progress(`${tick} ${seconds}  ${name}${note ? output.paint("dim", `  (${note})`) : ""}`)
        },
        onNote: text => output.progress(output.paint("dim", text)),
    })
    if (!report.ok) return report
    const { figures } = report.value
    if (output.json) {
        printFigures(figures, null)
        return success({ value: undefined, text: "" })
    }
    const rows = Object.entries(figures).map(([name, value]) => [name, String(value)])
    return success({ value: undefined, text: table(["FIGURE", "VALUE"], rows) })
}
