/**
 * `npm run build -- [--boards] [--json] [--live] [--docs]`: compiles the firmware, lives its heaviest day with it three times, and
 * holds what that took against the budgets of devicescript.json. Fails when one is exceeded, naming it and where the bytes
 * are. The first entry of devicescript.json; with --boards every one, a day each.
 *
 * Progress and explanations on standard error. With --json the last line of standard output is
 * `{"figures": {bytecodeBytes, heapPeakBytes, largestMessageBytes, sourceLines}, "machine": {...}, "seed": null}`; with
 * --boards the first three have the name of the entry and a full stop before them.
 * `heapPeakBytes`, the median of the days, is what is not free: live objects and garbage, of which there are up to
 * 16 KB before the collector runs. Displays draw in the machine too; what transmission to them takes is not in it.
 * With --docs it only writes docs/panel.md anew, from the running firmware.
 * With --live the day is lived once more, collecting before every allocation: `heapLiveBytes`, and whose they are.
 * Exit codes: 0 built and within the budgets, 1 not, 2 wrong command line.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { printFigures } from "../bench/figures.ts"
import { compileEntry, describeProblems } from "./firmware.ts"
import { heapOwners } from "./heap-owners.ts"
import { liveHeavyDay } from "./heavy-room.ts"
import { budgetOf, budgetsOf, type Figures, type Manifest, overBudget, readManifest } from "./manifest.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const largestShown = 12

const say = (text: string) => process.stderr.write(`${text}\n`)

async function main(): Promise<number> {
    const wanted = wantedOptions()
    if (wanted === undefined) {
        say("usage: npm run build -- [--boards] [--json] [--live] [--docs]")
        return 2
    }
    // jacdac-ts talks on the console; standard output is for the figures.
    console.log = console.info = console.debug = () => {}
    const manifest = readManifest()
    const names = Object.keys(manifest.entries)
    if (wanted.docs) return writePanelPage(manifest, names[0])
    const figures: Record<string, number> = {}
    let within = true
    for (const name of wanted.boards ? names : names.slice(0, 1)) {
        const built = await buildEntry(manifest, name, wanted.boards ? 1 : 3, wanted.live)
        if (built === undefined) return 1
        within &&= built.within
        for (const [figure, value] of Object.entries(built.figures))
            figures[wanted.boards && figure !== "sourceLines" ? `${name}.${figure}` : figure] = value
    }
    if (wanted.json) printFigures(figures, null)
    return within ? 0 : 1
}

interface Built {
    figures: Record<string, number>
    within: boolean
}

async function writePanelPage(manifest: Manifest, name: string): Promise<number> {
    const compiled = await compileEntry(manifest, name)
    if (!compiled.ok) {
        say(`${name} does not compile\n${describeProblems(compiled.problems)}`)
        return 1
    }
    const { panelPage, renderPanelPage } = await import("./panel-page.ts")
    writeFileSync(panelPage, await renderPanelPage(readFileSync(compiled.devsFile)))
    say(`written: ${panelPage}`)
    return 0
}

/** Undefined when it does not compile. */
async function buildEntry(
    manifest: Manifest,
    name: string,
    dayCount: number,
    live: boolean,
): Promise<Built | undefined> {
    say(`${name}: compiling`)
    const compiled = await compileEntry(manifest, name)
    if (!compiled.ok) {
        say(`${name} does not compile\n${describeProblems(compiled.problems)}`)
        return undefined
    }
    const bytecode = readFileSync(compiled.devsFile)
    const progress = (text: string) => say(`${name}: ${text}`)
    // Where the collector's rounds fall differs from day to day, by 1.5 KB: the median of three days is held to the budget.
    const days = []
    for (let day = 0; day < dayCount; day++) days.push(await liveHeavyDay(bytecode, progress))
    const heapPeaks = days.map(day => day.heapPeakBytes).sort((a, b) => a - b)
    say(`heap peaks of ${dayCount} days: ${heapPeaks.join(", ")} bytes`)
    const figures: Figures = {
        bytecodeBytes: compiled.bytes,
        heapPeakBytes: heapPeaks[dayCount >> 1],
        largestMessageBytes: Math.max(...days.map(day => day.largestMessageBytes)),
        sourceLines: sourceLines(join(root, "src")),
    }
    const budgets = budgetsOf(manifest, name)
    const over = overBudget(figures, budgets)
    for (const figure of Object.keys(figures) as (keyof Figures)[]) {
        const budget = budgets[budgetOf[figure]]
        const mark = over.includes(figure) ? `  OVER by ${figures[figure] - budget}` : ""
        say(`${figure.padEnd(20)} ${String(figures[figure]).padStart(7)} of ${String(budget).padStart(7)}${mark}`)
    }
    if (over.includes("bytecodeBytes")) say(whereTheBytesAre(compiled.debugFile))
    if (over.length > 0) say(`${name}: over the budgets of devicescript.json: ${over.join(", ")}`)
    const more: Record<string, number> = {}
    if (live) {
        say(`${name}: the same, collecting garbage before every allocation`)
        const { heapPeakBytes, heapPicture } = await liveHeavyDay(bytecode, progress, { collectAlways: true })
        more.heapLiveBytes = heapPeakBytes
        say(`${"heapLiveBytes".padEnd(20)} ${String(heapPeakBytes).padStart(7)}`)
        if (heapPicture)
            for (const { name, count, bytes } of heapOwners(heapPicture, bytecode, compiled.debugFile))
                say(`${String(bytes).padStart(7)} ${String(count).padStart(4)} x ${name}`)
    }
    return { figures: { ...figures, ...more }, within: over.length === 0 }
}

/** Lines that hold code: neither empty nor comment alone. The firmware's are those of src/; entries and displays of the boards add to them. */
function sourceLines(folder: string): number {
    let count = 0
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
        if (!entry.isFile() || !entry.name.endsWith(".ts")) continue
        // `path` is the name of `parentPath` in Node 20.0 to 20.11.
        const lines = readFileSync(join(entry.parentPath ?? entry.path, entry.name), "utf8").split("\n")
        count += lines.filter(line => !/^\s*(\/\/.*|\/\*.*|\*.*)?$/.test(line)).length
    }
    return count
}

interface DebugInformation {
    sizes: Record<string, number>
    functions: { name: string; size: number }[]
}

function whereTheBytesAre(debugFile: string): string {
    const { sizes, functions } = JSON.parse(readFileSync(debugFile, "utf8")) as DebugInformation
    const sections = Object.entries(sizes).map(([name, bytes]) => `${name} ${bytes}`)
    const largest = [...functions].sort((a, b) => b.size - a.size).slice(0, largestShown)
    return [
        `sections: ${sections.join(", ")}`,
        ...largest.map(({ name, size }) => `${String(size).padStart(7)} ${name}`),
    ].join("\n")
}

function wantedOptions(): { boards: boolean; json: boolean; live: boolean; docs: boolean } | undefined {
    const flag = { type: "boolean", default: false } as const
    try {
        return parseArgs({ options: { boards: flag, json: flag, live: flag, docs: flag } }).values
    } catch {
        return undefined
    }
}

main().then(
    code => process.exit(code),
    error => {
        say(`build: ${(error as Error).message}`)
        process.exit(1)
    },
)
