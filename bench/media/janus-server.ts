/**
 * Janus with nothing but its AudioBridge, for `janus.ts`: Debian's package, started on loopback with a configuration of its own.
 *
 * Owns the process, the folder of its configuration, rooms and participants by its HTTP API, and what Linux tells of it. Participants
 * are plain RTP ones, which Janus sends to once it has heard them. Nothing of the package's own configuration is read.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { freePort } from "../../test/support/addresses.ts"
import { type Child, startChild } from "../../test/support/child.ts"
import { needPackage } from "../../test/support/system-package.ts"

/** What is used of Debian's package. */
export interface JanusFiles {
    program: string
    plugin: string
    transport: string
}

export interface JanusRoom {
    codec: "pcmu" | "opus"
    bitsPerSecond: number
    /** Opus' complexity, 0 to 10. */
    complexity: number
    /** What Opus' repair is dimensioned for. */
    lossPercent: number
    payloadType: number
}

/** An answer of Janus: its own, and the plugin's in it. */
interface Answer {
    janus: string
    transaction?: string
    data?: { id: number }
    error?: { reason: string }
    plugindata?: { data: { error?: string; rtp?: { port: number } } }
}

/** Janus binds only to what an interface lists, and of 127.0.0.0/8 that is this one. */
export const janusIp = "127.0.0.1"
const samplingRate = 16000
const readyMs = 20_000
const answerMs = 20_000
const eventsMax = 100
/** utime and stime of /proc/PID/stat; Linux counts 100 a second on all machines that Debian's Janus is for. */
const tickUs = 10_000

/** The files, installed if need be, or why there are none. */
export function findJanus(): { ok: true; files: JanusFiles } | { ok: false; why: string } {
    const found = needPackage("janus", "janus")
    if (!found.ok) return found
    let listed: string[]
    try {
        listed = execFileSync("dpkg", ["-L", "janus"], { encoding: "utf8", stdio: "pipe" }).split("\n")
    } catch {
        return { ok: false, why: `needs Debian's package janus, and ${found.path} is another` }
    }
    const plugin = listed.find(path => path.endsWith("/libjanus_audiobridge.so"))
    const transport = listed.find(path => path.endsWith("/libjanus_http.so"))
    if (!plugin || !transport) return { ok: false, why: "the package janus has no AudioBridge or no HTTP transport" }
    return { ok: true, files: { program: found.path, plugin, transport } }
}

export class JanusServer {
    private sessionUrl = ""
    private readonly mediaPorts = new Set<number>()
    private transactions = 0

    private constructor(
        private readonly url: string,
        private readonly folder: string,
        private readonly child: Child,
    ) {}

    static async start(files: JanusFiles): Promise<JanusServer> {
        const folder = mkdtempSync(join(tmpdir(), "parley-janus-"))
        try {
            const port = await freePort(janusIp)
            writeConfiguration(folder, files, port)
            const url = `http://${janusIp}:${port}/janus`
            // Its own session, as processes.ts says: not the one in which the endpoints run.
            const child = await startChild(files.program, ["--configs-folder", folder, "--disable-colors"], {
                ...{ name: "janus", cwd: folder, readyMs },
                probe: async () => {
                    const answer = await fetch(`${url}/info`).catch(() => undefined)
                    return answer?.ok ? {} : undefined
                },
            })
            return new JanusServer(url, folder, child)
        } catch (error) {
            rmSync(folder, { recursive: true, force: true })
            throw error
        }
    }

    /** Lets participants into rooms of `roomSize`, sending to one of `ports` in turn. Returns the port at which each is heard. */
    async join(
        room: JanusRoom,
        participants: number,
        roomSize: number,
        ip: string,
        ports: number[],
    ): Promise<number[]> {
        this.sessionUrl = `${this.url}/${await this.create(this.url, { janus: "create" })}`
        const heardAt: number[] = []
        for (let i = 0; i < participants; i++) {
            const handle = await this.create(this.sessionUrl, { janus: "attach", plugin: "janus.plugin.audiobridge" })
            const number = 1 + Math.floor(i / roomSize)
            if (i % roomSize === 0) {
                const create = { request: "create", room: number, sampling_rate: samplingRate }
                await this.message(handle, { ...create, allow_rtp_participants: true, audiolevel_ext: false })
            }
            const { codec, bitsPerSecond, complexity, lossPercent, payloadType } = room
            const rtp = { ip, port: ports[i % ports.length], payload_type: payloadType, fec: true }
            const opus = { bitrate: bitsPerSecond, quality: complexity, expected_loss: lossPercent }
            const joined = await this.message(handle, {
                ...{ request: "join", room: number, id: i + 1, muted: false, codec, rtp },
                ...(codec === "opus" ? opus : {}),
            })
            const port = joined.plugindata?.data.rtp?.port
            if (!port) throw new Error(`Janus let participant ${i} in and named no port: ${JSON.stringify(joined)}`)
            heardAt.push(port)
            this.mediaPorts.add(port)
        }
        return heardAt
    }

    /** Processor time of all its threads since it began. */
    cpuUs(): number {
        const stat = readFileSync(`/proc/${this.child.process.pid}/stat`, "utf8")
        // The second field is a name in brackets that may hold blanks; utime and stime are fields 14 and 15.
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        return (Number(fields[11]) + Number(fields[12])) * tickUs
    }

    /** Datagrams that Linux has dropped in front of its sockets, as they were full. */
    droppedDatagrams(): number {
        let dropped = 0
        for (const line of readFileSync("/proc/net/udp", "utf8").split("\n").slice(1)) {
            const fields = line.trim().split(/\s+/)
            const port = Number.parseInt(fields[1]?.split(":")[1] ?? "", 16)
            if (this.mediaPorts.has(port)) dropped += Number(fields.at(-1))
        }
        return dropped
    }

    async stop(): Promise<void> {
        await this.child.stop()
        rmSync(this.folder, { recursive: true, force: true })
    }

    private async create(url: string, request: object): Promise<number> {
        const { data } = await this.ask(url, request)
        if (!data) throw new Error("Janus made nothing and says no error")
        return data.id
    }

    /** A request to the plugin. It answers at once, or acknowledges and answers among the session's events. */
    private async message(handle: number, body: object): Promise<Answer> {
        const transaction = this.nextTransaction()
        let answer = await this.ask(`${this.sessionUrl}/${handle}`, { janus: "message", transaction, body })
        for (const endMs = performance.now() + answerMs; answer.janus === "ack"; ) {
            if (performance.now() > endMs) throw new Error(`Janus does not answer ${JSON.stringify(body)}`)
            const events = await this.exchange<Answer[]>(`${this.sessionUrl}?maxev=${eventsMax}`)
            answer = events.find(event => event.transaction === transaction) ?? answer
        }
        const error = answer.plugindata?.data.error
        if (error) throw new Error(`Janus refuses ${JSON.stringify(body)}: ${error}`)
        return answer
    }

    private async ask(url: string, request: object): Promise<Answer> {
        const body = JSON.stringify({ transaction: this.nextTransaction(), ...request })
        const answer = await this.exchange<Answer>(url, { method: "POST", body })
        if (answer.error) throw new Error(`Janus refuses ${body}: ${answer.error.reason}`)
        return answer
    }

    private async exchange<T>(url: string, init: RequestInit = {}): Promise<T> {
        const response = await fetch(url, { ...init, signal: AbortSignal.timeout(answerMs) })
        return (await response.json()) as T
    }

    private nextTransaction(): string {
        return `${++this.transactions}`
    }
}

/** Only this plugin and this transport, no STUN, no other address than this one; one event loop instead of a thread for each handle. */
function writeConfiguration(folder: string, files: JanusFiles, port: number): void {
    const only = (name: string, paths: string[]) => {
        mkdirSync(join(folder, name))
        for (const path of paths) symlinkSync(path, join(folder, name, basename(path)))
        return `${name}_folder = "${join(folder, name)}"`
    }
    const general = [
        `configs_folder = "${folder}"`,
        only("plugins", [files.plugin]),
        only("transports", [files.transport]),
        only("events", []),
        only("loggers", []),
        `interface = "${janusIp}"`,
        "debug_level = 2",
        "session_timeout = 0",
        "event_loops = 1",
    ]
    const write = (name: string, section: string, lines: string[]) =>
        writeFileSync(join(folder, name), `${section}: {\n${lines.map(line => `\t${line}\n`).join("")}}\n`)
    write("janus.jcfg", "general", general)
    write("janus.transport.http.jcfg", "general", [
        'base_path = "/janus"',
        "http = true",
        `port = ${port}`,
        `ip = "${janusIp}"`,
        "https = false",
    ])
    write("janus.plugin.audiobridge.jcfg", "general", [`local_ip = "${janusIp}"`])
}
