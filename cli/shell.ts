/**
 * What every command gets: its settings, its output, and one way to declare a verb with the options common to all.
 */
import { readFileSync } from "node:fs"
import type { Command } from "commander"
import { type ExitName, exitCodes, type Outcome } from "./outcome.ts"
import { createOutput, type Output } from "./output.ts"
import { type Flags, readSettings, type Settings } from "./settings.ts"

/** What a verb answers: the value for --json and the text for people. An empty text prints nothing. */
export interface Answer {
    value: unknown
    text: string
    /** An answer that is a no. */
    exit?: ExitName
}

export interface Call {
    settings: Settings
    output: Output
    flags: Flags
    /** Arguments in their order, a variadic one spread at the end; absent ones are "". */
    words: string[]
    /** --yes was given, or a person at a terminal has agreed. */
    confirm(question: string): Promise<boolean>
}

export type Action = (call: Call) => Promise<Outcome<Answer>>

export interface Verb {
    /** "press <board> <button>" */
    name: string
    about: string
    options?: [flags: string, about: string][]
    /** Shown under the help. */
    examples?: string[]
    run: Action
}

export interface Shell {
    program: Command
    finish(exitCode: number): void
    noun(name: string, about: string): Command
    /** Gives the command, for verbs under it. */
    verb(parent: Command, verb: Verb): Command
}

export function createShell(program: Command, finish: (exitCode: number) => void): Shell {
    return {
        program,
        finish,
        noun: (name, about) => program.command(name).description(about),
        verb(parent, verb) {
            const command = parent.command(verb.name).description(verb.about)
            for (const [flags, about] of verb.options ?? []) command.option(flags, about)
            addCommonOptions(command)
            if (verb.examples)
                command.addHelpText("after", `\nExamples:\n${verb.examples.map(e => `  ${e}`).join("\n")}\n`)
            command.action(async (...given: unknown[]) => {
                // What a noun takes may stand before the verb or behind it; behind it counts.
                const flags: Flags = { ...command.optsWithGlobals<Flags>(), ...command.opts<Flags>() }
                const words = (
                    given.slice(0, command.registeredArguments.length) as (string | string[] | undefined)[]
                ).flatMap(word => word ?? "")
                const output = createOutput({
                    json: flags.json === true,
                    quiet: flags.quiet === true,
                    // Commander turns --no-color into color: false.
                    noColour: flags.color === false || Boolean(process.env.NO_COLOR),
                })
                const settings = readSettings(flags, process.env, process.cwd())
                const outcome = settings.ok
                    ? await verb.run({
                          settings: settings.value,
                          output,
                          flags,
                          words,
                          confirm: q => confirm(q, flags),
                      })
                    : settings
                if (outcome.ok) output.answer(outcome.value.value, outcome.value.text)
                else
                    output.failed(
                        outcome.exit === "usage" && !outcome.next ? { ...outcome, next: helpOf(command) } : outcome,
                    )
                finish(exitCodes[outcome.ok ? (outcome.value.exit ?? "ok") : outcome.exit])
            })
            return command
        },
    }
}

/** The command line that explains a command. */
export function helpOf(command: Command): string {
    const names: string[] = []
    for (let one: Command | null = command; one; one = one.parent) names.unshift(one.name())
    return `${names.join(" ")} --help`
}

function addCommonOptions(command: Command): void {
    command
        .option("--json", "the answer as JSON on standard output, errors as JSON on standard error")
        .option("--state <folder>", "state folder (PARLEY_STATE; default .parley)")
        .option("--config <file>", "settings file (PARLEY_CONFIG; default parley.json)")
        .option("--wait <seconds>", "longest wait for an answer (PARLEY_WAIT; default 30)")
        .option("--group <url>", "a group server elsewhere (PARLEY_GROUP; default: that of the state folder)")
        .option("--token <file>", "file with the token for it (PARLEY_TOKEN; default admin.token)")
        .option("--yes", "do not ask before something that cannot be undone")
        .option("--quiet", "no progress on standard error")
        .option("--no-color", "no colours (NO_COLOR)")
}

async function confirm(question: string, flags: Flags): Promise<boolean> {
    if (flags.yes === true) return true
    if (!process.stdin.isTTY || !process.stderr.isTTY || flags.json === true) return false
    const { createInterface } = await import("node:readline/promises")
    const lines = createInterface({ input: process.stdin, output: process.stderr })
    const reply = await lines.question(`${question} [y/N] `)
    lines.close()
    return /^y(es)?$/i.test(reply.trim())
}

export function version(): string {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8")
    return (JSON.parse(text) as { version: string }).version
}
