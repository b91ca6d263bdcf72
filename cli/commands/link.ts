/**
 * `parley link ...`: the links between routing servers as both ends measure them, and the emulated network under them.
 */
import type { PathConditions } from "../../servers/routing/underlay/conditions.ts"
import { noConditions } from "../../servers/routing/underlay/conditions.ts"
import { type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { type ControlledServer, controlOf, controlsOf, fromControl } from "../system/control.ts"

export function addLinkCommands(shell: Shell): void {
    const link = shell.noun("link", "links between routing servers, and the emulated network under them")
    shell.verb(link, { name: "list", about: "all links as each end measures them, and what is emulated", run: list })
    shell.verb(link, {
        name: "cut <a> <b>",
        about: "nothing passes between two routing servers any more, and neither is told",
        examples: ["parley link cut rs-a rs-b"],
        run: call => change(call, now => ({ ...now, cut: true }), "is cut, silently"),
    })
    shell.verb(link, {
        name: "heal <a> <b>",
        about: "undoes a cut; what is emulated otherwise stays",
        run: call => change(call, now => ({ ...now, cut: false }), "is not cut"),
    })
    shell.verb(link, {
        name: "delay <a> <b> [ms]",
        about: "adds a one-way delay in both directions; without ms it is taken away",
        options: [
            ["--jitter <ms>", "the delay varies by as much"],
            ["--loss <percent>", "datagrams lost, 0..100"],
            ["--rate <kbps>", "bottleneck"],
        ],
        examples: ["parley link delay rs-a rs-b 20 --jitter 2", "parley link delay rs-a rs-b"],
        run: delay,
    })
}

async function list({ settings }: Call): Promise<Outcome<Answer>> {
    const servers = controlsOf(settings)
    if (!servers.ok) return servers
    const answers = await Promise.all(
        servers.value.map(async ({ id, client }) => ({ id, links: fromControl(id, await client.links()) })),
    )
    const found = answers.flatMap(({ id, links }) =>
        links.ok ? links.value.links.map(each => ({ server: id, ...each })) : [],
    )
    // Of a server that is dead its neighbours have something to say; only when all are silent is there no answer.
    const bad = answers.find(({ links }) => !links.ok)?.links
    if (bad && !bad.ok && found.length === 0) return bad
    const rows = found.map(({ server, peer, up, delayMs, jitterMs, loss, underlay }) => [
        server,
        peer,
        up ? "up" : "down",
        delayMs === undefined ? "-" : `${delayMs} ms`,
        `${jitterMs} ms`,
        `${percent(loss)} %`,
        describe(underlay),
    ])
    const head = ["SERVER", "NEIGHBOUR", "STATE", "DELAY", "JITTER", "LOSS", "EMULATED"]
    return success({ value: found, text: rows.length > 0 ? table(head, rows) : "no links" })
}

function delay(call: Call): Promise<Outcome<Answer>> {
    const { flags, words } = call
    const wanted: Partial<PathConditions> = {}
    const texts: [keyof PathConditions, string, unknown, number, number][] = [
        ["delayMs", "ms", words[2] || "0", 10_000, 1],
        ["jitterMs", "--jitter", flags.jitter ?? "0", 10_000, 1],
        ["loss", "--loss", flags.loss ?? "0", 100, 100],
        ["rateKbps", "--rate", flags.rate ?? "0", 10_000_000, 1],
    ]
    for (const [name, option, text, most, divisor] of texts) {
        const value = Number(text)
        if (!/^\d{1,8}(\.\d{1,3})?$/.test(String(text)) || value > most)
            return Promise.resolve(usage(`${option}: a number from 0 to ${most} is needed, not "${text}"`))
        Object.assign(wanted, { [name]: value / divisor })
    }
    return change(call, now => ({ ...now, ...wanted }), undefined)
}

/** Changes the emulated network at both ends; one that is dead does not keep the other from being changed. */
async function change(
    { settings, words: [a, b] }: Call,
    changed: (now: PathConditions) => PathConditions,
    done: string | undefined,
): Promise<Outcome<Answer>> {
    if (a === b) return usage("two different routing servers are needed")
    const ends: (ControlledServer & { far: string })[] = []
    for (const [id, far] of [
        [a, b],
        [b, a],
    ]) {
        const client = controlOf(settings, id)
        if (!client.ok) return client
        ends.push({ id, far, client: client.value })
    }
    const outcomes = await Promise.all(
        ends.map(async ({ id, far, client }): Promise<Outcome<PathConditions>> => {
            const links = fromControl(id, await client.links())
            if (!links.ok) return links
            const now = links.value.underlay.find(each => each.far === far)?.conditions ?? noConditions
            return fromControl(id, await client.putUnderlay(far, changed(now)))
        }),
    )
    const good = outcomes.find(outcome => outcome.ok)
    const bad = outcomes.find(outcome => !outcome.ok)
    if (!good?.ok) return bad!
    const value = { a, b, underlay: good.value, oneEndOnly: bad !== undefined }
    const what = done ?? `has ${describe(good.value)}`
    return success({ value, text: `${a} - ${b} ${what}${bad ? " (one end cannot be reached)" : ""}` })
}

function describe({ delayMs, jitterMs, loss, rateKbps, cut }: PathConditions): string {
    const parts = [
        cut && "cut",
        delayMs > 0 && `${delayMs} ms`,
        jitterMs > 0 && `+-${jitterMs} ms`,
        loss > 0 && `${percent(loss)} % loss`,
        rateKbps > 0 && `${rateKbps} kbit/s`,
    ].filter(Boolean)
    return parts.length > 0 ? parts.join(", ") : "nothing emulated"
}

function percent(share: number): number {
    return Math.round(share * 1000) / 10
}
