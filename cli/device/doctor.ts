/**
 * The diagnosis of an appliance: ten checks in the order in which an appliance comes to life, each over evidence that was
 * gathered before (`evidence.ts`). The first that fails is the one to mend; what stands behind it cannot be told yet.
 *
 * Pure: owns what evidence means, in what words, and the next action. Never asks a board.
 */

import type { Fixer } from "../../protocol/reasons.ts"
import type { Health, Identity, PhaseName } from "./appliance-service.ts"
import type { Broker } from "./config.ts"
import { brokerText } from "./config.ts"

export interface WifiEvidence {
    enabled: boolean
    /** The network it is joined to; "" for none. */
    joined: string
    /** "" without one. */
    address: string
    rssiDb: number
    /** Networks that the radio stores; undefined when it does not say. */
    stored: string[] | undefined
    /** What a scan has heard; undefined when there was none. */
    heard: { name: string; rssiDb: number; secured: boolean }[] | undefined
}

export interface Evidence {
    /** Frames that came over the port, and those that came damaged. */
    frames: number
    damaged: number
    /** The machine that runs programs announces itself. */
    hasMachine: boolean
    /** Undefined when the machine does not say. */
    isRunning: boolean | undefined
    /** Lines of the log that tell of a panic. */
    panics: string[]
    /** The program on it serves services/appliance.md. */
    phase: PhaseName | undefined
    health: Health | undefined
    identity: Identity | undefined
    wifi: WifiEvidence | undefined
    /** The time of day on its screen, and here at its zone ("14:05"); undefined when its screen shows none. */
    shownTime: { shown: string; here: string } | undefined
    /** Settings in flash: what is there, never a secret. */
    provisioned: { id: boolean; secret: boolean; broker: Broker | undefined }
}

export const checks = [
    "power",
    "wifi",
    "address",
    "name",
    "tls",
    "broker",
    "registration",
    "clock",
    "routing-server",
    "media-engine",
] as const
export type Check = (typeof checks)[number]

export interface Fault {
    /** A word for programs. */
    code: string
    what: string
    next: string
    who: Fixer
}

export interface Finding {
    check: Check
    verdict: "good" | "failed" | "unknown"
    fault?: Fault
}

export interface Diagnosis {
    findings: Finding[]
    /** The first check that fails, with what to do. */
    first?: Fault & { check: Check }
}

/** A server's time is taken only with this bound of its error; sessions begin by it. */
const clockErrorMaxMs = 2000
/** The screen shows minutes, and is drawn now and then. */
const minutesApartMax = 2
const damagedShareMax = 0.2
const damagedMin = 20

export function diagnose(evidence: Evidence): Diagnosis {
    const findings: Finding[] = []
    let first: Diagnosis["first"]
    for (const check of checks) {
        const fault = first && !isIndependent(check, evidence) ? undefined : judges[check](evidence)
        if (first && !fault) findings.push({ check, verdict: isIndependent(check, evidence) ? "good" : "unknown" })
        else if (!fault) findings.push({ check, verdict: "good" })
        else {
            findings.push({ check, verdict: "failed", fault })
            first ??= { check, ...fault }
        }
    }
    return first ? { findings, first } : { findings }
}

/** The media engine sits at the board itself: it can be told whatever the network does. */
function isIndependent(check: Check, evidence: Evidence): boolean {
    return check === "media-engine" && evidence.health !== undefined
}

const judges: Record<Check, (evidence: Evidence) => Fault | undefined> = {
    power: judgePower,
    wifi: judgeWifi,
    address: judgeAddress,
    name: judgeName,
    tls: judgeTls,
    broker: judgeBroker,
    registration: judgeRegistration,
    clock: judgeClock,
    "routing-server": judgeRoutingServer,
    "media-engine": judgeMediaEngine,
}

function judgePower(evidence: Evidence): Fault | undefined {
    const { frames, damaged, hasMachine, isRunning, panics, phase } = evidence
    if (damaged >= damagedMin && damaged > frames * damagedShareMax)
        return fault("bad-line", `${damaged} frames came damaged, ${frames} whole`, "take another USB cable or port")
    if (frames === 0)
        return fault("silent", "nothing comes over the serial port", "check power and cable, then the port's path")
    if (!hasMachine)
        return fault("no-machine", "frames come, but no machine announces itself", "flash the base firmware", "maker")
    if (panics.length > 0 && phase === undefined)
        return fault(
            "crashes",
            `the program crashes: ${panics.at(-1)}`,
            "parley device deploy FILE, and tell the maker",
        )
    if (isRunning === false)
        return fault("stopped", "the program does not run", "parley device reboot, else deploy FILE")
    if (phase === undefined)
        return fault("no-program", "what runs on it is not the appliance's program", "parley device deploy FILE")
    return undefined
}

function judgeWifi({ wifi }: Evidence): Fault | undefined {
    if (!wifi) return fault("no-radio", "the board shows no radio", "tell the maker", "maker")
    if (!wifi.enabled) return fault("radio-off", "the radio is switched off", "parley device reboot")
    if (wifi.joined !== "") return undefined
    const { stored, heard } = wifi
    if (stored && stored.length === 0)
        return fault("no-network", "no network is stored", "parley device wifi add NAME --password-file FILE")
    const name = stored?.[0]
    if (name === undefined || heard === undefined)
        return fault("not-joined", "the radio has joined no network", "parley device wifi scan")
    const found = heard.find(one => one.name === name)
    if (!found)
        return fault(
            "not-heard",
            `"${name}" is not heard; ${heard.length} others are`,
            "switch the access point on or come nearer; another network: parley device wifi add NAME",
        )
    return fault(
        "not-let-in",
        `"${name}" is heard at ${found.rssiDb} dBm and does not let the board in: the password is wrong`,
        `parley device wifi add "${name}" --password-file FILE`,
    )
}

function judgeAddress({ wifi }: Evidence): Fault | undefined {
    if (wifi?.address !== "") return undefined
    return fault(
        "no-address",
        `joined to "${wifi.joined}", which gives no address`,
        "look at the DHCP server of this network",
        "operator",
    )
}

function judgeName({ phase, health, provisioned }: Evidence): Fault | undefined {
    const { broker } = provisioned
    if (!broker)
        return fault(
            "no-broker",
            "no broker is configured",
            "parley device config apply FILE (with id, secret, broker)",
        )
    if (!isOffline(phase) || !health || !tells(health, texts.name)) return undefined
    return fault(
        "name-unknown",
        `no address is known for "${broker.host}": ${health.socket}`,
        "parley device config set broker mqtt://HOST:PORT, or put the name into the network's DNS",
    )
}

function judgeTls({ phase, health }: Evidence): Fault | undefined {
    if (!isOffline(phase) || !health || !tells(health, texts.tls)) return undefined
    return fault("tls", `no TLS with the broker: ${health.socket}`, "look at the broker's certificate", "operator")
}

function judgeBroker({ phase, health, provisioned }: Evidence): Fault | undefined {
    const { id, secret, broker } = provisioned
    const where = broker ? brokerText(broker) : "the broker"
    if (phase === "unprovisioned") {
        const missing = [id ? [] : ["id"], secret ? [] : ["secret"]].flat().join(" and ") || "a part of the identity"
        return fault("no-identity", `${missing} is not configured`, "parley device config apply FILE")
    }
    if (phase === "refused" || (phase === "connecting" && health?.ended === "refused")) {
        const denial = health?.denial ?? 0
        return fault(
            denial === 4 || denial === 5 ? "identity-refused" : "refused",
            `${where} refuses the appliance: ${denials[denial] ?? `code ${denial}`}`,
            denial === 128
                ? "look at the broker's rights"
                : "parley device config set secret @FILE, from its enrolment",
            denial === 4 || denial === 5 ? "you" : "operator",
        )
    }
    if (phase !== "connecting") return undefined
    if (health?.ended === "closed" || health?.ended === "silent" || health?.ended === "malformed")
        return fault("broker-odd", `${where} answers, but not as a broker (${health.ended})`, "check host and port")
    const said = health?.socket ? `: ${health.socket}` : ""
    return fault(
        "broker-unreachable",
        `${where} does not answer${said}`,
        "check that the broker runs and that this network lets the board reach it; parley device config get broker",
        "operator",
    )
}

function judgeRegistration({ phase, health }: Evidence): Fault | undefined {
    if (phase !== "registering") return undefined
    const reason = health?.reason ?? ""
    if (reason === "" || reason === "expired" || reason === "unavailable")
        return fault("no-group-server", "the group server does not answer", "start the group server", "operator")
    return fault(
        reason,
        `the group server refuses the registration: ${reason}`,
        reason === "unknown-endpoint" ? "parley endpoint enrol ID" : "look at the group server's log",
        "operator",
    )
}

function judgeClock({ health, shownTime }: Evidence): Fault | undefined {
    if (!health) return undefined
    if (shownTime && minutesApart(shownTime.shown, shownTime.here) > minutesApartMax)
        return fault(
            "clock-wrong",
            `its screen shows ${shownTime.shown}, and here it is ${shownTime.here} in its zone`,
            "set the clock of the group server's machine; the zone: parley device config set zoneMinutes",
            "operator",
        )
    const { clockErrorMs } = health
    if (clockErrorMs === undefined)
        return fault("clock-unknown", "the appliance does not know the time", "look at the group server", "operator")
    if (clockErrorMs <= clockErrorMaxMs) return undefined
    return fault(
        "clock-loose",
        `the time may be wrong by ${clockErrorMs} ms: the group server answers late`,
        "look at the network between the board and the group server",
        "operator",
    )
}

/** Of two times of day, over midnight too. */
function minutesApart(a: string, b: string): number {
    const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
    const apart = Math.abs(minutes(a) - minutes(b))
    return Math.min(apart, 1440 - apart)
}

function judgeRoutingServer({ phase, health }: Evidence): Fault | undefined {
    if (phase !== "choosing" && phase !== "attaching") return undefined
    // Routing servers are measured by the media engine; without it none can be chosen.
    if (health && !health.mediaPresent) return undefined
    const reason = health?.reason ?? ""
    if (phase === "attaching" && reason !== "" && reason !== "expired")
        return fault(reason, `the routing server refuses it: ${reason}`, "parley doctor", "operator")
    return fault(
        "no-routing-server",
        `no routing server can be reached${reason ? ` (${reason})` : ""}`,
        "check that routing servers run and that UDP passes from this network; parley doctor",
        "operator",
    )
}

function judgeMediaEngine({ health }: Evidence): Fault | undefined {
    if (!health || health.mediaPresent) return undefined
    return fault(
        "media-absent",
        "no media engine is at the board",
        "check the audio module's cable, and there: systemctl status parley-media-engine",
    )
}

function isOffline(phase: PhaseName | undefined): boolean {
    return phase === "connecting" || phase === "refused"
}

/**
 * What sockets say, in the words of Node (simulator) and of the ESP32. The text is the only evidence there is: the machine's
 * socket gives nothing else.
 */
const texts = {
    name: ["ENOTFOUND", "EAI_AGAIN", "getaddrinfo", "can't resolve", "cannot resolve", "DNS"],
    tls: ["tls://", "certificate", "handshake", "mbedtls", "SSL", "TLS"],
}

function tells({ socket }: Health, words: string[]): boolean {
    return words.some(word => socket.includes(word))
}

const denials: Record<number, string> = {
    1: "another version of MQTT",
    2: "its identifier is not accepted",
    3: "the broker is not available",
    4: "user name or password is wrong",
    5: "it is not authorised: the identifier or the secret is wrong",
    128: "it may not subscribe to its own topic",
}

function fault(code: string, what: string, next: string, who: Fixer = "you"): Fault {
    return { code, what, next, who }
}
