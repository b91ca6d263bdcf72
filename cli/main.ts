/**
 * The `parley` command: nouns, verbs and the options that all of them take. Turns outcomes into output and exit codes.
 * Never does the work itself; that is in commands/.
 */
import { Command, CommanderError } from "commander"
import { addBoardCommands } from "./commands/board.ts"
import { addCompletionCommand } from "./commands/completion.ts"
import { addDemoCommand } from "./commands/demo.ts"
import { addDeviceCommands } from "./commands/device.ts"
import { addDirectoryCommands } from "./commands/directory.ts"
import { addLegCommands } from "./commands/leg.ts"
import { addLinkCommands } from "./commands/link.ts"
import { addMediaEngineCommand } from "./commands/media-engine.ts"
import { addStaticNeighbourCommands } from "./commands/neighbours.ts"
import { addPolicyCommands } from "./commands/policy.ts"
import { addReservationCommands } from "./commands/reservation.ts"
import { addNeighboursCommand, addRouteCommands } from "./commands/route.ts"
import { addServeCommands } from "./commands/serve.ts"
import { addSessionCommands } from "./commands/session.ts"
import { addSystemCommands } from "./commands/system.ts"
import { exitCodes, failure, messageOf, usage } from "./outcome.ts"
import { createOutput } from "./output.ts"
import { createShell, helpOf, version } from "./shell.ts"

export function buildProgram(finish: (exitCode: number) => void): Command {
    const program = new Command("parley")
        .description("Conferencing around a dedicated hardware endpoint: servers, appliances and their simulator")
        .version(version())
        .showSuggestionAfterError(true)
        .enablePositionalOptions()
        .helpCommand("help [command]", "help for a command")
        .addHelpText("after", "\nEvery command takes --help and --json. Exit codes: docs/cli.md\n")
    const shell = createShell(program, finish)
    addSystemCommands(shell)
    addDemoCommand(shell)
    addBoardCommands(shell)
    addDeviceCommands(shell)
    addMediaEngineCommand(shell)
    addSessionCommands(shell)
    addLegCommands(shell)
    addReservationCommands(shell)
    addDirectoryCommands(shell)
    addPolicyCommands(shell)
    addStaticNeighbourCommands(shell, addNeighboursCommand(shell))
    addRouteCommands(shell)
    addLinkCommands(shell)
    addServeCommands(shell)
    addCompletionCommand(shell)
    return program
}

/** Runs one command line and gives its exit code. */
export async function main(words: string[]): Promise<number> {
    let code: number = exitCodes.ok
    const program = buildProgram(exitCode => {
        code = exitCode
    })
    const wantsJson = words.includes("--json")
    quietCommander(program, wantsJson)
    try {
        await program.parseAsync(words, { from: "user" })
    } catch (error) {
        const output = createOutput({ json: wantsJson, quiet: false, noColour: noColour(words) })
        if (error instanceof CommanderError) {
            if (error.exitCode === 0) return exitCodes.ok
            // Without a verb commander shows the help and calls that an error: it is one, with nothing to add.
            if (error.code === "commander.help") return exitCodes.usage
            const what = error.message.replace(/^error: /, "").replace(/\n/g, " ")
            output.failed(usage(what, helpOf(commandOf(program, words))))
            return exitCodes.usage
        }
        // A broken invariant of our own: say so plainly, with the place.
        const stack = error instanceof Error && error.stack ? error.stack.split("\n").slice(1, 4) : []
        output.failed(
            failure("failed", "internal", `internal error: ${messageOf(error)}`, {
                who: "maker",
                details: { log: stack },
            }),
        )
        return exitCodes.failed
    }
    return code
}

/** The command that `words` mean, as far as there is one. */
function commandOf(program: Command, words: string[]): Command {
    let command = program
    for (const word of words) {
        if (word.startsWith("-")) continue
        const child = command.commands.find(one => one.name() === word)
        if (!child) break
        command = child
    }
    return command
}

function noColour(words: string[]): boolean {
    return words.includes("--no-color") || Boolean(process.env.NO_COLOR)
}

/** Commander throws instead of exiting, and leaves the words of an error to us. */
function quietCommander(command: Command, json: boolean): void {
    command.exitOverride()
    command.configureOutput({
        outputError: () => {},
        // With --json nothing but JSON may stand on standard error.
        ...(json ? { writeErr: () => {} } : {}),
    })
    for (const child of command.commands) quietCommander(child, json)
}
