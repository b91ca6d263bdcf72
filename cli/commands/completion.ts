/**
 * `parley completion bash`: nouns, verbs and options, printed from the program itself so that they cannot grow old.
 */
import type { Command } from "commander"
import { success, usage } from "../outcome.ts"
import type { Shell } from "../shell.ts"

export function addCompletionCommand(shell: Shell): void {
    shell.verb(shell.program, {
        name: "completion <shell>",
        about: "print completions for a shell (bash)",
        examples: ["source <(parley completion bash)"],
        async run({ words }) {
            if (words[0] !== "bash")
                return usage(`there are no completions for "${words[0]}"`, "parley completion bash")
            const script = bashCompletion(shell.program)
            return success({ value: { shell: "bash", script }, text: script })
        },
    })
}

function bashCompletion(program: Command): string {
    const cases: string[] = []
    const visit = (command: Command, path: string) => {
        const verbs = command.commands.map(child => child.name())
        const options = command.options.map(option => option.long ?? "").filter(option => option !== "")
        cases.push(`        "${path}") words="${[...verbs, ...options, "--help"].join(" ")}" ;;`)
        for (const child of command.commands) visit(child, `${path} ${child.name()}`)
    }
    visit(program, "parley")
    return `_parley() {
    local path="parley" word words
    for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -* ]] || path="$path $word"
    done
    while :; do
        case "$path" in
${cases.map(line => `    ${line}`).join("\n")}
            *" "*) path="\${path% *}"; continue ;;
        esac
        break
    done
    COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _parley parley
`
}
