/**
 * `parley serve <part>`: one server in this process, with its own options, as an operator runs it under systemd.
 */
import { fileURLToPath } from "node:url"
import { exitCodes, messageOf, usage } from "../outcome.ts"
import { createOutput } from "../output.ts"
import type { Shell } from "../shell.ts"

const mains: Record<string, string> = {
    broker: "servers/broker/main.ts",
    group: "servers/group/main.ts",
    routing: "servers/routing/main.ts",
    sim: "sim/main.ts",
}

export function addServeCommands(shell: Shell): void {
    shell.program
        .command("serve <part> [options...]")
        .description("run one part in this process: broker, group, routing or sim (parley serve routing --help)")
        .helpOption(false)
        .allowUnknownOption()
        .allowExcessArguments()
        .passThroughOptions()
        .action(async (part: string, options: string[]) => {
            if (!Object.hasOwn(mains, part)) {
                const json = options.includes("--json")
                const problem = usage(`there is no part "${part}"`, `parley serve ${Object.keys(mains).join("|")} ...`)
                createOutput({ json, quiet: false, noColour: Boolean(process.env.NO_COLOR) }).failed(problem)
                return shell.finish(exitCodes.usage)
            }
            const path = fileURLToPath(new URL(`../../${mains[part]}`, import.meta.url))
            // The mains read process.argv, as they do when they are started directly.
            process.argv = [process.argv[0], path, ...options]
            try {
                await import(path)
            } catch (error) {
                process.stderr.write(`parley: ${part}: ${messageOf(error)}\n`)
                shell.finish(exitCodes.failed)
            }
        })
}
