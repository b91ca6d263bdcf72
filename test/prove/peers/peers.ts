/**
 * gstreamer, ffmpeg and baresip as plain legs of a session between two simulated appliances: each is heard in the far room, and
 * hears it. What the routing server sends them is looked through by tshark.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { soundRate } from "../../../media/codec.ts"
import { measure } from "../../../media/measure.ts"
import { loadWav } from "../../../media/wav.ts"
import { wavBytes } from "../../../media/wav-writer.ts"
import type { Plain } from "../../../servers/routing/control/schemas.ts"
import { freePort } from "../../support/addresses.ts"
import { eventually } from "../../support/deadline.ts"
import { needPackage } from "../../support/system-package.ts"
import { System } from "../../system/system.ts"
import { SipAnswerer } from "./sip-answerer.ts"

const speech = resolve(import.meta.dirname, "../../../sim/samples/speech.wav")
/** So much of the speech is compared. */
const talkMs = 6000
/** Programs take their time to begin. */
const slackMs = 3000
/** Correlation with the speech. ffmpeg sends in bursts, of which some come too late before the buffer knows them. */
const heardMin = 0.8
/** For a program to end by itself. */
const graceMs = 3000
const local = "127.0.0.1"

interface Tools {
    gst: string
    ffmpeg: string
    baresip: string
    tshark: string
    tcpdump: string
}

function findTools(): Tools {
    const find = (binary: string, debianPackage: string) => {
        const found = needPackage(binary, debianPackage)
        if (!found.ok) throw new Error(found.why)
        return found.path
    }
    const gst = find("gst-launch-1.0", "gstreamer1.0-tools")
    const baresip = find("baresip", "baresip-core")
    const tools = { gst, baresip, ffmpeg: find("ffmpeg", "ffmpeg"), tshark: find("tshark", "tshark") }
    // Its plugins are packages of their own.
    if (spawnSync("gst-inspect-1.0", ["rtppcmupay"]).status !== 0)
        spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", "gstreamer1.0-plugins-good"])
    return { ...tools, tcpdump: find("tcpdump", "tcpdump") }
}

export async function provePeers(progress: (line: string) => void): Promise<Record<string, number>> {
    const tools = findTools()
    const folder = mkdtempSync(join(tmpdir(), "parley-peers-"))
    const system = await System.start("embedded")
    const capture = new Program(tools.tcpdump, [
        ...["-i", "lo", "-n", "-U", "-Z", "root", "-w", join(folder, "sent.pcap")],
        `udp and src host ${system.ips["rs-a"]} and dst host ${local}`,
    ])
    const running: Program[] = []
    try {
        const sid = await system.bookAndJoin()
        const session = new Session(system, sid, tools, folder, progress, running)
        const figures = {
            ...(await session.meet("gstreamer", place => session.gstreamer(place))),
            ...(await session.meet("ffmpeg", place => session.ffmpeg(place))),
            ...(await session.meet("baresip", () => session.baresip())),
        }
        await capture.stop("SIGINT")
        return { ...figures, ...looked(tools.tshark, join(folder, "sent.pcap")) }
    } finally {
        for (const program of running) await program.stop("SIGKILL")
        await capture.stop("SIGINT")
        await system.stop()
        rmSync(folder, { recursive: true, force: true })
    }
}

export function wrongWithPeers(figures: Record<string, number>): string {
    for (const [name, value] of Object.entries(figures))
        if (/Heard$|Hears$/.test(name) && value < heardMin) return `${name} is ${value}, below ${heardMin}`
    if (!(figures.rtpPackets > 1000)) return `only ${figures.rtpPackets} RTP packets were captured`
    if (!(figures.rtcpPackets > 0)) return "no RTCP was captured"
    return figures.malformed > 0 ? `${figures.malformed} packets are malformed to tshark` : ""
}

/** What a program needs to know of its leg. */
interface PlainPlace {
    leg: Plain
    /** Where it sends from and hears at. */
    sendPort: number
    hearPort: number
    heardFile: string
}

class Session {
    constructor(
        private readonly system: System,
        private readonly sid: string,
        private readonly tools: Tools,
        private readonly folder: string,
        private readonly progress: (line: string) => void,
        private readonly running: Program[],
    ) {}

    /** The program speaks and board B listens; then board A speaks and the program listens. */
    async meet(name: string, run: (place: PlainPlace) => Promise<Program[]>): Promise<Record<string, number>> {
        this.progress(`${name} joins`)
        const [a, b] = ["board-a", "board-b"].map(id => this.system.rooms.get(id)!.media)
        await Promise.all([a.setMicrophone(null), b.setMicrophone(null)])
        const [sendPort, hearPort] = [await freePort(), await freePort()]
        const heardFile = join(this.folder, `${name}.wav`)
        const control = this.system.control("rs-a")
        const isSip = name === "baresip"
        // A softphone's address is known from its offer; that of the others from their command lines.
        const leg = isSip
            ? undefined
            : await control.putPlainLeg(this.sid, name, {
                  from: { ip: local, port: sendPort },
                  to: { ip: local, port: hearPort },
              })
        if (leg && !leg.ok) throw new Error(`${name} is not let in: ${leg.what}`)
        b.clearRecording()
        const startedMs = performance.now()
        const place = { leg: leg?.ok ? leg.value : (undefined as never), sendPort, hearPort, heardFile }
        const programs = await run(place)
        this.running.push(...programs)
        await eventually(() => b.statistics().outputDb > -60, `${name} to be heard`, 20_000)
        await after(talkMs + 2 * slackMs)
        const heard = await correlation(b.recording().played, startedMs)
        this.progress(`${name} was heard: ${heard}`)
        const spokenMs = performance.now()
        await a.setMicrophone(speech)
        await after(talkMs + 2 * slackMs)
        for (const program of programs) await program.stop("SIGINT")
        const file = isSip ? dumpIn(join(this.folder, name)) : heardFile
        const recorded = await loadWav(file, soundRate)
        if (!recorded.ok) throw new Error(`${name} has recorded nothing: ${recorded.what}`)
        // The file begins with the first packet, soon after the program was started.
        const stretch = { atMs: startedMs, samples: recorded.value.samples }
        const hears = await correlation([stretch], spokenMs - slackMs / 2)
        this.progress(`${name} has heard: ${hears}`)
        await control.deletePlainLeg(this.sid, name)
        return { [`${name}Heard`]: heard, [`${name}Hears`]: hears }
    }

    async gstreamer({ leg, sendPort, hearPort, heardFile }: PlainPlace): Promise<Program[]> {
        const caps = "application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0"
        const hearing = `udpsrc address=${local} port=${hearPort} caps=${caps} ! rtpjitterbuffer ! rtppcmudepay ! mulawdec ! wavenc ! filesink location=${heardFile}`
        const speaking = `filesrc location=${speech} ! wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay min-ptime=20000000 max-ptime=20000000 ! udpsink host=${leg.ip} port=${leg.port} bind-address=${local} bind-port=${sendPort}`
        const hear = new Program(this.tools.gst, ["-q", "-e", ...hearing.split(" ")])
        return [hear, new Program(this.tools.gst, ["-q", ...speaking.split(" ")])]
    }

    async ffmpeg({ leg, sendPort, hearPort, heardFile }: PlainPlace): Promise<Program[]> {
        const description = join(this.folder, "leg.sdp")
        const lines = ["v=0", `o=- 0 0 IN IP4 ${local}`, "s=leg", `c=IN IP4 ${local}`, "t=0 0"]
        writeFileSync(description, [...lines, `m=audio ${hearPort} RTP/AVP 0`, ""].join("\r\n"))
        const quiet = ["-hide_banner", "-loglevel", "error", "-y"]
        const hearing = ["-protocol_whitelist", "file,udp,rtp", "-i", description, "-flush_packets", "1", heardFile]
        const to = `rtp://${leg.ip}:${leg.port}?localport=${sendPort}&rtcpport=${leg.port}`
        const speaking = ["-re", "-i", speech, "-ar", "8000", "-ac", "1", "-c:a", "pcm_mulaw", "-f", "rtp", to]
        const { ffmpeg } = this.tools
        return [new Program(ffmpeg, [...quiet, ...hearing]), new Program(ffmpeg, [...quiet, ...speaking])]
    }

    /** A softphone that calls; it speaks from a file and plays into one. */
    async baresip(): Promise<Program[]> {
        const { mediaPort } = this.system.servers.get("rs-a")!.ready
        const ip = this.system.ips["rs-a"]
        const answerer = await SipAnswerer.start({ ip, port: mediaPort })
        const folder = join(this.folder, "baresip")
        mkdirSync(folder)
        // It does not resample, and hangs up at the end of its file.
        const narrow = await loadWav(speech, 8000)
        if (!narrow.ok) throw new Error(narrow.what)
        const padded = new Int16Array(60 * 8000)
        padded.set(narrow.value.samples)
        const source = join(folder, "speech.wav")
        writeFileSync(source, wavBytes(8000, padded))
        const modules = ["account", "menu", "g711", "aufile", "aubridge", "sndfile"].map(name => `module ${name}.so`)
        // What it plays goes nowhere, and into a file beside that.
        const sound = [`audio_source aufile,${source}`, "audio_player aubridge,nowhere", `snd_path ${folder}`]
        const config = ["module_path /usr/lib/baresip/modules", ...modules, ...sound, `sip_listen ${local}:0`]
        writeFileSync(join(folder, "config"), `${config.join("\n")}\nrtcp_mux yes\n`)
        writeFileSync(join(folder, "accounts"), `<sip:phone@${local}>;regint=0;audio_codecs=PCMU;rtcp_mux=yes\n`)
        const program = new Program(this.tools.baresip, [
            "-f",
            folder,
            "-e",
            `/dial sip:parley@${local}:${answerer.port}`,
        ])
        const { port } = await answerer.offered
        // Its offer names another of the machine's addresses than the one that its packets come from.
        const from = { ip: local, port }
        const added = await this.system.control("rs-a").putPlainLeg(this.sid, "baresip", { from })
        if (!added.ok) throw new Error(added.what)
        answerer.close()
        return [program]
    }
}

/** What baresip has played. */
function dumpIn(folder: string): string {
    return join(folder, readdirSync(folder).find(name => name.endsWith("-dec.wav")) ?? "dec.wav")
}

/** A program that the proof started and that it stops. */
class Program {
    readonly #child: ChildProcess
    readonly #ended: Promise<unknown>

    constructor(command: string, words: string[]) {
        this.#child = spawn(command, words, { stdio: ["ignore", "ignore", "ignore"] })
        this.#ended = once(this.#child, "close")
    }

    async stop(signal: NodeJS.Signals): Promise<void> {
        const isAlive = () => this.#child.exitCode === null && this.#child.signalCode === null
        if (isAlive()) this.#child.kill(signal)
        const force = setTimeout(() => isAlive() && this.#child.kill("SIGKILL"), graceMs)
        await this.#ended
        clearTimeout(force)
    }
}

/** Of the speech, said some time after `fromMs`, with what was heard. */
async function correlation(heard: { atMs: number; samples: Int16Array }[], fromMs: number): Promise<number> {
    const said = await loadWav(speech, soundRate)
    if (!said.ok) throw new Error(said.what)
    const samples = said.value.samples.subarray(0, (talkMs * soundRate) / 1000)
    let best = 0
    for (const stretch of heard) {
        const measured = measure({ atMs: fromMs, samples }, stretch, { maxDelayMs: slackMs })
        if (measured.ok) best = Math.max(best, measured.value.correlation)
    }
    return Math.round(best * 1000) / 1000
}

/** What tshark sees in a capture. */
function looked(tshark: string, file: string): Record<string, number> {
    const count = (filter: string) => {
        const words = ["-r", file, "--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtcp_udp", "-Y", filter]
        const run = spawnSync(tshark, words, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 })
        if (run.status !== 0) throw new Error(`tshark: ${run.stderr}`)
        return run.stdout.split("\n").filter(Boolean).length
    }
    return { rtpPackets: count("rtp"), rtcpPackets: count("rtcp"), malformed: count("_ws.malformed") }
}

function after(ms: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ms))
}
