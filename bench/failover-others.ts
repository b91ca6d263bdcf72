/**
 * The silent cut of `failover.ts` for routing daemons of others: BIRD (OSPF with hellos of 1 s and 4 missed, alone and with
 * BFD of 50 ms and 3 missed) and babeld (hellos of 1 s), each in a triangle of network namespaces.
 *
 * Owns the namespaces and daemons it makes, by names with this process's number, and removes them whatever happens.
 * What cannot be measured here is said and left out.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as wait } from "node:timers/promises"
import { eventually, within } from "../test/support/deadline.ts"
import { needPackage } from "../test/support/system-package.ts"

const times = 3
const everyMs = 5
const port = 7777
const convergedWithinMs = 60_000
const backWithinMs = 30_000
const traffic = resolve(import.meta.dirname, "reference/udp-echo.mjs")

const nodes = ["a", "b", "c"] as const
type Node = (typeof nodes)[number]
/** Links with their cost: a - b directly is the shorter way. */
const links: { ends: [Node, Node]; cost: number }[] = [
    { ends: ["a", "b"], cost: 10 },
    { ends: ["a", "c"], cost: 20 },
    { ends: ["c", "b"], cost: 20 },
]
const loopbacks: Record<Node, string> = { a: "10.9.0.1", b: "10.9.0.2", c: "10.9.0.3" }

interface Daemon {
    figure: string
    command: string
    debianPackage: string
    /** Arguments for one node; writes its configuration into `folder`. */
    prepare(node: Node, folder: string): string[]
    /** What beside the routes must be there before the link is cut. */
    isReady?(topology: Topology): boolean
}

const daemons: Daemon[] = [
    { figure: "birdOspfMs", command: "bird", debianPackage: "bird2", prepare: (n, f) => birdArguments(n, f, false) },
    {
        figure: "birdBfdMs",
        command: "bird",
        debianPackage: "bird2",
        prepare: (n, f) => birdArguments(n, f, true),
        isReady: hasBfd,
    },
    { figure: "babeldMs", command: "babeld", debianPackage: "babeld", prepare: babeldArguments },
]

/** Medians by figure; those that could not be measured are absent. */
export async function measureOthers(progress: (text: string) => void): Promise<Record<string, number>> {
    const figures: Record<string, number> = {}
    const why = namespaceProblem()
    if (why) {
        progress(`BIRD and babeld left out: ${why}`)
        return figures
    }
    for (const daemon of daemons) {
        const found = needPackage(daemon.command, daemon.debianPackage)
        if (!found.ok) {
            progress(`${daemon.figure} left out: ${found.why}`)
            continue
        }
        const topology = new Topology()
        try {
            topology.build()
            figures[daemon.figure] = await measure(topology, daemon, found.path, progress)
        } catch (error) {
            progress(`${daemon.figure} left out: ${(error as Error).message}`)
        } finally {
            await topology.remove()
        }
    }
    return figures
}

async function measure(topology: Topology, daemon: Daemon, path: string, progress: (text: string) => void) {
    for (const node of nodes) topology.run(node, path, daemon.prepare(node, topology.folder))
    await topology.converged(daemon)
    const echo = topology.run("b", process.execPath, [traffic, "echo", loopbacks.b, String(port)])
    await nextLine(echo, line => line.ready === true, 10_000)
    const sender = topology.run("a", process.execPath, [
        ...[traffic, "send", loopbacks.a, loopbacks.b, String(port), String(everyMs)],
    ])
    await nextLine(sender, line => line.flows === true, 10_000)
    const gaps: number[] = []
    for (let i = 0; i < times; i++) {
        if (i > 0) {
            topology.cut(false)
            await topology.converged(daemon)
        }
        // Any moment of the hello's period is as likely as another.
        await wait(500 + 317 * i)
        let cutMs = Number.POSITIVE_INFINITY
        // Not a silence that was over before: the one that the cut lies in.
        const silence = nextLine(
            sender,
            ({ fromMs, silentMs }) => Number(fromMs) + Number(silentMs) > cutMs,
            backWithinMs,
        )
        topology.cut(true)
        cutMs = performance.timeOrigin + performance.now()
        gaps.push(Math.round((await silence).silentMs as number))
        progress(`${daemon.figure}: ${i + 1} of ${times}: ${gaps[i]} ms`)
    }
    return gaps.sort((x, y) => x - y)[gaps.length >> 1]
}

class Topology {
    readonly folder = mkdtempSync(join(tmpdir(), "parley-failover-"))
    readonly #base = `parley-${process.pid}`
    readonly #made: string[] = []
    readonly #children: ChildProcess[] = []

    /** The ends of each link meet in a bridge in a namespace of its own. */
    build(): void {
        const wire = this.#namespace("wire")
        for (const node of nodes) {
            const name = this.#namespace(node)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "address", "add", `${loopbacks[node]}/32`, "dev", "lo")
            const settings = ["ip_forward=1", "conf/all/rp_filter=0", "conf/default/rp_filter=0"]
            for (const setting of settings) {
                const [key, value] = setting.split("=")
                ip("netns", "exec", name, "sh", "-c", `echo ${value} > /proc/sys/net/ipv4/${key}`)
            }
        }
        for (const [i, { ends }] of links.entries()) {
            ip("-n", wire, "link", "add", `br${i}`, "type", "bridge", "forward_delay", "0")
            ip("-n", wire, "link", "set", `br${i}`, "up")
            for (const [end, node] of ends.entries()) {
                const far = ends[1 - end]
                const name = this.#nameOf(node)
                ip("-n", wire, "link", "add", `w${i}${end}`, "type", "veth", "peer", "name", `to-${far}`, "netns", name)
                ip("-n", wire, "link", "set", `w${i}${end}`, "master", `br${i}`, "up")
                ip("-n", name, "address", "add", `10.1.${i}.${end + 1}/30`, "dev", `to-${far}`)
                ip("-n", name, "link", "set", `to-${far}`, "up")
            }
        }
    }

    /** The bridge between a and b forgets one end: both interfaces stay up. */
    cut(isCut: boolean): void {
        const where = isCut ? ["nomaster"] : ["master", "br0"]
        ip("-n", this.#nameOf("wire"), "link", "set", "w00", ...where)
    }

    run(node: Node, command: string, words: string[]): ChildProcess {
        const child = spawn("ip", ["netns", "exec", this.#nameOf(node), command, ...words], {
            stdio: ["ignore", "pipe", "ignore"],
        })
        child.on("error", () => {})
        this.#children.push(child)
        return child
    }

    /** a and b reach each other directly, and each knows c. */
    converged(daemon: Daemon): Promise<unknown> {
        const uses = (node: Node, to: Node, device: string) =>
            routeOf(this.#nameOf(node), loopbacks[to]).includes(` dev ${device} `)
        return eventually(
            async () => {
                // Asking starts processes: not so often that the daemons are kept from their work.
                await wait(200)
                const direct = uses("a", "b", "to-b") && uses("b", "a", "to-a")
                return direct && uses("a", "c", "to-c") && uses("b", "c", "to-c") && (daemon.isReady?.(this) ?? true)
            },
            "the daemons to find all ways",
            convergedWithinMs,
        )
    }

    /** The output of a program that ends by itself; "" when it fails. */
    ask(node: Node, command: string, words: string[]): string {
        try {
            return ip("netns", "exec", this.#nameOf(node), command, ...words)
        } catch {
            return ""
        }
    }

    async remove(): Promise<void> {
        const ended = this.#children.map(child => {
            if (child.exitCode !== null || child.signalCode !== null) return undefined
            const end = new Promise<void>(done => child.once("close", () => done()))
            child.kill("SIGKILL")
            return within(end, "a daemon to end", 5000).catch(() => {})
        })
        await Promise.all(ended)
        for (const name of this.#made.reverse())
            try {
                ip("netns", "delete", name)
            } catch {
                // Gone already.
            }
        rmSync(this.folder, { recursive: true, force: true })
    }

    #nameOf(which: string): string {
        return `${this.#base}-${which}`
    }

    #namespace(which: string): string {
        const name = this.#nameOf(which)
        ip("netns", "add", name)
        this.#made.push(name)
        return name
    }
}

function birdArguments(node: Node, folder: string, withBfd: boolean): string[] {
    const interfaces = links.flatMap(({ ends: [a, b], cost }) => {
        if (node !== a && node !== b) return []
        const far = node === a ? b : a
        const bfd = withBfd ? "bfd yes;" : ""
        return [`interface "to-${far}" { type ptp; cost ${cost}; hello 1; dead count 4; ${bfd} };`]
    })
    const bfd = `protocol bfd { interface "to-*" { interval 50 ms; multiplier 3; }; }`
    const path = join(folder, `bird-${node}.conf`)
    writeFileSync(
        path,
        `router id ${loopbacks[node]};
protocol device { scan time 1; }
protocol kernel { ipv4 { export all; }; }
${withBfd ? bfd : ""}
protocol ospf v2 {
    ipv4 { import all; export none; };
    area 0 { interface "lo" { stub; }; ${interfaces.join(" ")} };
}
`,
    )
    return ["-f", "-c", path, "-s", join(folder, `bird-${node}.ctl`), "-P", join(folder, `bird-${node}.pid`)]
}

/** BFD takes some seconds to come up, at first slowly; before that a cut is found by OSPF's hellos. */
function hasBfd(topology: Topology): boolean {
    const isUp = (node: Node, device: string) =>
        topology
            .ask(node, "birdc", ["-s", join(topology.folder, `bird-${node}.ctl`), "show", "bfd", "sessions"])
            .split("\n")
            .some(line => line.includes(` ${device} `) && line.includes(" Up "))
    return isUp("a", "to-b") && isUp("b", "to-a")
}

function babeldArguments(node: Node, folder: string): string[] {
    const interfaces = links.flatMap(({ ends: [a, b], cost }) => {
        if (node !== a && node !== b) return []
        const far = node === a ? b : a
        return [`interface to-${far} type wired hello-interval 1 update-interval 4 rxcost ${cost * 10}`]
    })
    const path = join(folder, `babeld-${node}.conf`)
    const redistribute = ["redistribute local ip 10.9.0.0/24 le 32 allow", "redistribute local deny"]
    writeFileSync(path, `${[...interfaces, ...redistribute].join("\n")}\n`)
    const file = (name: string) => join(folder, `babeld-${node}.${name}`)
    return ["-c", path, "-I", file("pid"), "-S", file("state"), "-L", file("log")]
}

/** The next line of JSON for which `matches` holds. */
function nextLine(
    child: ChildProcess,
    matches: (line: Record<string, unknown>) => boolean,
    withinMs: number,
): Promise<Record<string, unknown>> {
    const lines = createInterface({ input: child.stdout! })
    const found = new Promise<Record<string, unknown>>((resolve, reject) => {
        lines.on("line", text => {
            const line = JSON.parse(text)
            if (matches(line)) resolve(line)
        })
        child.once("close", () => reject(new Error("the traffic program ended")))
    })
    return within(found, "traffic", withinMs).finally(() => lines.close())
}

function routeOf(namespace: string, to: string): string {
    try {
        return `${ip("-n", namespace, "route", "get", to)} `
    } catch {
        return ""
    }
}

/** Why there can be no namespaces here, or "". */
function namespaceProblem(): string {
    if (process.platform !== "linux") return "no Linux"
    if (process.getuid?.() !== 0) return "not root"
    const name = `parley-${process.pid}-try`
    try {
        ip("netns", "add", name)
    } catch (error) {
        return `network namespaces are not allowed here (${(error as Error).message.split("\n")[0]})`
    }
    try {
        ip("-n", name, "link", "add", "br0", "type", "bridge")
        ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        return ""
    } catch (error) {
        return `the kernel has no bridge or veth (${(error as Error).message.split("\n")[0]})`
    } finally {
        ip("netns", "delete", name)
    }
}

function ip(...words: string[]): string {
    return execFileSync("ip", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 10_000 })
}
