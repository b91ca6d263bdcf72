/**
 * `parley neighbours static ...`: pairs of routing servers that an operator has made neighbours [claim 7]. Gives the noun, so
 * that what is said of neighbours elsewhere stands beside it.
 */
import type { Command } from "commander"
import { type Outcome, success } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"

export function addStaticNeighbourCommands(shell: Shell, noun?: Command): Command {
    const neighbours = noun ?? shell.noun("neighbours", "neighbours of routing servers")
    const fixed = neighbours.command("static").description("neighbours that an operator has set")
    shell.verb(fixed, { name: "list", about: "all static neighbours", run: list })
    shell.verb(fixed, {
        name: "set <server> <other>",
        about: "make two routing servers neighbours for good",
        examples: ["parley neighbours static set rs-a rs-b"],
        run: call => change(call, true),
    })
    shell.verb(fixed, {
        name: "clear <server> <other>",
        about: "they are neighbours only if the rule makes them so",
        run: call => change(call, false),
    })
    return neighbours
}

async function list({ settings }: Call): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const found = fromGroup(await group.value.getStaticNeighbours())
    if (!found.ok) return found
    const { pairs } = found.value
    const rows = pairs.map(({ a, b }) => [a, b])
    return success({ value: pairs, text: rows.length > 0 ? table(["SERVER", "SERVER"], rows) : "no static neighbours" })
}

async function change({ settings, words: [a, b] }: Call, wanted: boolean): Promise<Outcome<Answer>> {
    const group = groupOf(settings)
    if (!group.ok) return group
    const client = group.value
    const changed = fromGroup(await (wanted ? client.setStaticNeighbours(a, b) : client.clearStaticNeighbours(a, b)))
    if (!changed.ok) return changed
    const text = `${a} and ${b} are ${wanted ? "static neighbours" : "no static neighbours"}`
    return success({ value: { a, b, static: wanted }, text })
}
