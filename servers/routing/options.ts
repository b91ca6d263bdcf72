/**
 * The flags of a routing server's process, parsed and checked. Owns their names and limits; reads the secret's file.
 */

import { readFileSync } from "node:fs"
import { isIPv4 } from "node:net"
import { parseArgs } from "node:util"
import { limits } from "../../protocol/limits.ts"
import { linkLimits } from "../../protocol/link.ts"
import { type Place, placeShape } from "../../protocol/servers.ts"
import { problemWith } from "../../protocol/shape.ts"
import { isIdentifier } from "../../protocol/text.ts"
import { readUnderlayPlan, type UnderlayPlan } from "./underlay/conditions.ts"

export interface RoutingServerOptions {
    id: string
    secret: string
    /** The server's own IPv4 address [claim 2]. */
    ip: string
    /** TCP and UDP; 0 takes a free one. */
    linkPort: number
    /** UDP; 0 takes a free one. */
    mediaPort: number
    broker: { host: string; port: number }
    dspUnits: number
    /** Folder for what survives a restart. */
    state: string
    /** TCP, for operators; 0 takes a free one, absent: no control API. */
    controlPort?: number
    /** The network to emulate from the start. */
    underlay?: UnderlayPlan
    udp?: "dgram"
    helloMs?: number
    capacityKbps?: number
    place?: Place
}

export type OptionsResult = { ok: true; options: RoutingServerOptions } | { ok: false; what: string }

export const usage = `A routing server of Parley: parley serve routing --id ID --secret-file FILE --ip ADDRESS --broker URL --state FOLDER

  --id ID             its identifier, as enrolled at the group server
  --secret-file FILE  its secret for the broker
  --ip ADDRESS        its own IPv4 address
  --link-port PORT    TCP and UDP towards neighbours (default 7400; 0: a free one)
  --media-port PORT   UDP towards endpoints (default 7500; 0: a free one)
  --broker URL        mqtt://host:port
  --dsp-units N       media processing that it has (default 64)
  --state FOLDER      what survives a restart: its key and its boot counter
  --control-port PORT TCP for operators (0: a free one; absent: none); the token is written to FOLDER/control.token
  --hello-ms MS       between hellos on links, 20 to 1000 (default 100); three missed ones are a link that is down
  --capacity-kbps N   what each link carries (default 100000); a measurement may only lower it
  --tags A,B          words that the neighbour policy speaks of
  --risk A,B          what it fails together with: ducts, buildings, carriers
  --area NAME         where it belongs to
  --udp dgram         read and send datagrams one by one, with Node alone (default: many in a call, on Linux)
  --underlay FILE     a network to emulate: {"seed": 1, "paths": {"rs-b": {"delayMs": 20, "loss": 0.01}}}
`

const flags = {
    id: { type: "string" },
    "secret-file": { type: "string" },
    ip: { type: "string" },
    "link-port": { type: "string", default: "7400" },
    "media-port": { type: "string", default: "7500" },
    broker: { type: "string" },
    "dsp-units": { type: "string", default: "64" },
    state: { type: "string" },
    "control-port": { type: "string" },
    udp: { type: "string" },
    underlay: { type: "string" },
    "hello-ms": { type: "string" },
    "capacity-kbps": { type: "string" },
    tags: { type: "string" },
    risk: { type: "string" },
    area: { type: "string" },
} as const

export function parseOptions(words: string[]): OptionsResult {
    let values: Record<string, string | undefined>
    try {
        values = parseArgs({ args: words, options: flags, strict: true }).values
    } catch (error) {
        return wrong((error as Error).message)
    }
    for (const name of ["id", "secret-file", "ip", "broker", "state"])
        if (!values[name]) return wrong(`--${name} is missing`)
    const id = values.id!
    if (!isIdentifier(id)) return wrong(`--id ${id}: 1 to ${limits.identifierBytes} of a-z, 0-9 and "-" are needed`)
    const ip = values.ip!
    if (!isIPv4(ip) || ip === "0.0.0.0") return wrong(`--ip ${ip}: one IPv4 address of this machine is needed`)
    const linkPort = wholeNumber(values["link-port"]!, 65535)
    if (linkPort === undefined) return wrong("--link-port: 0 to 65535 is needed")
    const mediaPort = wholeNumber(values["media-port"]!, 65535)
    if (mediaPort === undefined) return wrong("--media-port: 0 to 65535 is needed")
    if (linkPort === mediaPort && linkPort !== 0) return wrong("--link-port and --media-port must differ")
    const dspUnits = wholeNumber(values["dsp-units"]!, 4294967295)
    if (dspUnits === undefined) return wrong("--dsp-units: a whole number is needed")
    const broker = parseBroker(values.broker!)
    if (!broker) return wrong(`--broker ${values.broker}: mqtt://host:port is needed`)
    const secret = readSecret(values["secret-file"]!)
    if (!secret.ok) return secret
    const controlPort = values["control-port"] === undefined ? undefined : wholeNumber(values["control-port"], 65535)
    if (controlPort === undefined && values["control-port"] !== undefined)
        return wrong("--control-port: 0 to 65535 is needed")
    if (controlPort && controlPort === linkPort) return wrong("--control-port and --link-port must differ")
    const underlay = readUnderlay(values.underlay)
    if (!underlay.ok) return underlay
    const udp = values.udp === "dgram" ? values.udp : undefined
    if (udp !== values.udp) return wrong(`--udp ${values.udp}: only "dgram" can be asked for`)
    const ports = { linkPort, mediaPort, controlPort }
    const options = { id, secret: secret.secret, ip, ...ports, broker, dspUnits, state: values.state! }
    const links = readLinks(values)
    if (!links.ok) return links
    return { ok: true, options: { ...options, ...links.links, underlay: underlay.plan, udp } }
}

type LinkOptions = Pick<RoutingServerOptions, "helloMs" | "capacityKbps" | "place">

/** What concerns links and neighbours. */
function readLinks(
    values: Record<string, string | undefined>,
): { ok: true; links: LinkOptions } | { ok: false; what: string } {
    const links: LinkOptions = {}
    const { helloIntervalMsMin: least, helloIntervalMsMax: most } = linkLimits
    if (values["hello-ms"] !== undefined) {
        links.helloMs = wholeNumber(values["hello-ms"], most)
        if (links.helloMs === undefined || links.helloMs < least)
            return wrong(`--hello-ms: ${least} to ${most} is needed`)
    }
    if (values["capacity-kbps"] !== undefined) {
        links.capacityKbps = wholeNumber(values["capacity-kbps"], 4294967295)
        if (!links.capacityKbps) return wrong("--capacity-kbps: a whole number above 0 is needed")
    }
    const place: Place = {}
    for (const name of ["tags", "risk"] as const)
        if (values[name] !== undefined) place[name] = values[name].split(",").filter(word => word !== "")
    if (values.area !== undefined) place.area = values.area
    const problem = problemWith(placeShape, place, "place")
    const words = [...(place.tags ?? []), ...(place.risk ?? []), ...(place.area === undefined ? [] : [place.area])]
    const odd = words.find(word => !isIdentifier(word))
    if (problem || odd !== undefined)
        return wrong(problem || `--tags, --risk, --area: "${odd}" has other characters than a-z, 0-9 and "-"`)
    if (Object.keys(place).length > 0) links.place = place
    return { ok: true, links }
}

function readUnderlay(file: string | undefined): { ok: true; plan?: UnderlayPlan } | { ok: false; what: string } {
    if (file === undefined) return { ok: true }
    let text: string
    try {
        text = readFileSync(file, "utf8")
    } catch (error) {
        return wrong(`--underlay ${file}: ${(error as Error).message}`)
    }
    const read = readUnderlayPlan(text)
    return read.ok ? read : wrong(`--underlay ${file}: ${read.what}`)
}

export function parseBroker(url: string): { host: string; port: number } | undefined {
    if (!URL.canParse(url)) return undefined
    const { protocol, hostname, port, username, password, pathname } = new URL(url)
    if (protocol !== "mqtt:" || !hostname || username || password || pathname.length > 1) return undefined
    return { host: hostname, port: port ? Number(port) : 1883 }
}

function readSecret(file: string): { ok: true; secret: string } | { ok: false; what: string } {
    let secret: string
    try {
        secret = readFileSync(file, "utf8").trim()
    } catch (error) {
        return wrong(`--secret-file ${file}: ${(error as Error).message}`)
    }
    if (!secret || Buffer.byteLength(secret) > limits.secretBytes)
        return wrong(`--secret-file ${file}: 1 to ${limits.secretBytes} bytes are needed`)
    return { ok: true, secret }
}

function wholeNumber(text: string, most: number): number | undefined {
    const value = Number(text)
    return /^\d{1,10}$/.test(text) && value <= most ? value : undefined
}

function wrong(what: string): { ok: false; what: string } {
    return { ok: false, what }
}
