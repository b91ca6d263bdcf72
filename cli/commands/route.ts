/**
 * `parley route ...` and `parley neighbours`: how routing servers see each other, and why.
 */
import type { Command } from "commander"
import type { Explanation, Neighbour } from "../../servers/routing/control/schemas.ts"
import { failure, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { controlOf, controlsOf, fromControl } from "../system/control.ts"

const pingsDefault = 5

export function addRouteCommands(shell: Shell): void {
    const route = shell.noun("route", "routes between routing servers, and why they are what they are")
    shell.verb(route, { name: "table <server>", about: "its routing table", run: routeTable })
    shell.verb(route, {
        name: "explain <a> <b>",
        about: "the way from a to b, and why each other neighbour of a is not the next hop",
        examples: ["parley route explain rs-a rs-c"],
        run: explain,
    })
    shell.verb(route, {
        name: "ping <a> <b>",
        about: "echoes from a to b and back along the routes",
        options: [["--count <number>", `how many (default ${pingsDefault})`]],
        run: ping,
    })
}

/** Gives the noun, for what else is said of neighbours. */
export function addNeighboursCommand(shell: Shell): Command {
    return shell.verb(shell.program, {
        name: "neighbours [server]",
        about: "which routing servers are neighbours; with --why the reason for each that is or is not",
        options: [["--why", "each server of the list, with what was measured and the test that decided"]],
        examples: ["parley neighbours", "parley neighbours rs-a --why"],
        run: neighbours,
    })
}

async function routeTable({ settings, words: [server] }: Call): Promise<Outcome<Answer>> {
    const client = controlOf(settings, server)
    if (!client.ok) return client
    const routes = fromControl(server, await client.value.routes())
    if (!routes.ok) return routes
    const rows = routes.value.map(({ to, nextHop, delayMs, hops, alternate }) => [
        to,
        nextHop,
        `${delayMs} ms`,
        String(hops),
        alternate ?? "-",
    ])
    const text = rows.length > 0 ? table(["TO", "NEXT HOP", "DELAY", "LINKS", "ALTERNATE"], rows) : "no routes"
    return success({ value: routes.value, text })
}

async function explain({ settings, words: [a, b] }: Call): Promise<Outcome<Answer>> {
    const client = controlOf(settings, a)
    if (!client.ok) return client
    const explained = fromControl(a, await client.value.explainRoute(b))
    return explained.ok ? success({ value: explained.value, text: describe(explained.value) }) : explained
}

function describe({ from, to, hops, alternate, notChosen, text }: Explanation): string {
    const lines = [`${from} to ${to}: ${text}`]
    for (const hop of hops) {
        const extra = `${hop.jitterMs > 0 ? `, jitter ${hop.jitterMs} ms` : ""}${hop.lossPercent > 0 ? `, loss ${hop.lossPercent} %` : ""}`
        lines.push(`  ${hop.from} -> ${hop.to}  ${hop.delayMs} ms${extra}`)
    }
    if (hops.length > 0) lines.push(`alternate: ${alternate ?? "none"}`)
    if (notChosen.length > 0) lines.push("not the next hop:")
    for (const other of notChosen) lines.push(`  ${other.neighbour}: ${other.text}`)
    return lines.join("\n")
}

async function ping({ settings, words: [a, b], flags }: Call): Promise<Outcome<Answer>> {
    const count = Number(flags.count ?? pingsDefault)
    if (!Number.isInteger(count) || count < 1 || count > 50) return usage("--count: a number from 1 to 50 is needed")
    const client = controlOf(settings, a)
    if (!client.ok) return client
    const pinged = fromControl(a, await client.value.ping(b, { count, intervalMs: 100 }))
    if (!pinged.ok) return pinged
    const { echoes, answered } = pinged.value
    const lines = echoes.map(({ rttMs, hops, reason }, i) =>
        rttMs === undefined ? `${i + 1}: ${reason}` : `${i + 1}: ${rttMs} ms, ${hops} ${hops === 1 ? "link" : "links"}`,
    )
    if (answered > 0)
        return success({ value: pinged.value, text: `${lines.join("\n")}\n${answered} of ${count} answered` })
    const noRoute = echoes.every(echo => echo.reason === "no-route")
    return failure(
        noRoute ? "failed" : "timeout",
        noRoute ? "no-route" : "no-answer",
        noRoute ? `${a} has no route to ${b}` : `${b} has not answered ${a}`,
        { who: "operator", next: `parley route explain ${a} ${b}`, details: { echoes } },
    )
}

async function neighbours({ settings, words: [server], flags }: Call): Promise<Outcome<Answer>> {
    const servers = controlsOf(settings)
    if (!servers.ok) return servers
    if (server && !servers.value.some(each => each.id === server)) {
        const none = controlOf(settings, server)
        if (!none.ok) return none
    }
    const asked = servers.value.filter(each => !server || each.id === server)
    const answers = await Promise.all(
        asked.map(async ({ id, client }) => ({ id, traces: fromControl(id, await client.neighbours()) })),
    )
    const bad = answers.find(({ traces }) => !traces.ok)?.traces
    if (bad && !bad.ok && answers.every(({ traces }) => !traces.ok)) return bad
    const found = answers.flatMap(({ id, traces }) =>
        traces.ok ? traces.value.map(each => ({ of: id, ...each })) : [],
    )
    const shown = flags.why === true ? found : found.filter(each => each.outcome === "neighbour")
    if (shown.length === 0) return success({ value: shown, text: "no neighbours" })
    const text = flags.why === true ? whyTable(shown) : neighbourTable(shown)
    return success({ value: shown, text })
}

type Shown = Neighbour & { of: string }

function neighbourTable(shown: Shown[]): string {
    const rows = shown.map(each => [each.of, each.server, each.kind ?? "", each.up ? "up" : "down", rtt(each)])
    return table(["SERVER", "NEIGHBOUR", "KIND", "LINK", "ROUND TRIP"], rows)
}

function whyTable(shown: Shown[]): string {
    const rows = shown.map(each => [
        each.of,
        each.server,
        each.outcome,
        each.test ?? "",
        rtt(each),
        hops(each),
        each.text,
    ])
    return table(["SERVER", "CANDIDATE", "OUTCOME", "TEST", "ROUND TRIP", "HOPS", "WHY"], rows)
}

function rtt({ path }: Neighbour): string {
    return path ? `${path.rttMs} ms` : "-"
}

function hops({ path }: Neighbour): string {
    return path?.hops === undefined ? "-" : String(path.hops)
}
