/**
 * A board's radio over the stock Jacdac service Wifi: what it hears, what it stores, joining another network.
 * Owns trying a network before it stays: when it gives no address in time, the one before is put back.
 */

import type { JDService } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"
import { jacdac } from "../../serial/jacdac.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import type { BoardLink } from "./board-link.ts"
import type { WifiNetwork } from "./config.ts"
import type { WifiEvidence } from "./doctor.ts"

const { WifiCmd, WifiReg, WifiEvent } = jacdac
const scanMs = 10_000
const pipeMs = 3000
const joinMs = 30_000
const hasPassword = 1

export type HeardNetwork = NonNullable<WifiEvidence["heard"]>[number]

export async function radioOf(link: BoardLink): Promise<Outcome<JDService>> {
    const service = await link.service(jacdac.SRV_WIFI)
    if (service) return success(service)
    return failure("timeout", "no-radio", `no radio answers at ${link.path}`, {
        who: "you",
        next: "parley device doctor",
    })
}

export async function lookAtRadio(link: BoardLink, radio: JDService, withScan: boolean): Promise<WifiEvidence> {
    const enabled = await link.read(radio, WifiReg.Enabled)
    const ssid = await link.read(radio, WifiReg.Ssid)
    const address = await link.read(radio, WifiReg.IpAddress)
    const rssi = await link.read(radio, WifiReg.Rssi)
    const isOn = enabled === undefined || enabled[0] !== 0
    return {
        enabled: isOn,
        joined: textOf(ssid),
        address: addressOf(address),
        rssiDb: rssi && rssi.length > 0 ? rssi.readInt8(0) : -128,
        stored: await storedNetworks(link, radio),
        heard: withScan && isOn ? await scan(link, radio) : undefined,
    }
}

export async function scan(link: BoardLink, radio: JDService): Promise<HeardNetwork[] | undefined> {
    const complete = link.event(radio, [WifiEvent.ScanComplete], scanMs)
    await link.command(radio, WifiCmd.Scan)
    if (!(await complete)) return undefined
    const packets = await pipe(link, radio, WifiCmd.LastScanResults)
    return packets
        ?.filter(data => data.length > 16)
        .map(data => ({
            name: textOf(data.subarray(16)),
            rssiDb: data.readInt8(8),
            secured: (data.readUInt32LE(0) & hasPassword) !== 0,
        }))
        .sort((a, b) => b.rssiDb - a.rssiDb)
}

export async function storedNetworks(link: BoardLink, radio: JDService): Promise<string[] | undefined> {
    const packets = await pipe(link, radio, WifiCmd.ListKnownNetworks)
    return packets?.filter(data => data.length > 4).map(data => textOf(data.subarray(4)))
}

/** Stores a network and waits until it gives an address; else `before` is put back. */
export async function tryNetwork(
    link: BoardLink,
    radio: JDService,
    network: WifiNetwork,
    before: WifiNetwork | undefined,
): Promise<Outcome<{ address: string }>> {
    const joined = await join(link, radio, network)
    if (joined.ok) return joined
    if (!before) {
        await link.command(radio, WifiCmd.ForgetNetwork, Buffer.from(network.name), true)
        return failure("failed", joined.code, `${joined.what}; nothing is stored`, { who: "you", next: joined.next })
    }
    const back = await join(link, radio, before)
    const outcome = back.ok ? `"${before.name}" is back` : `and "${before.name}" does not let it in again either`
    return failure("failed", joined.code, `${joined.what}; ${outcome}`, { who: "you", next: joined.next })
}

async function join(link: BoardLink, radio: JDService, network: WifiNetwork): Promise<Outcome<{ address: string }>> {
    const told = link.event(radio, [WifiEvent.GotIp, WifiEvent.ConnectionFailed], joinMs)
    await link.command(radio, WifiCmd.AddNetwork, jacdac.jdpack("z z", [network.name, network.password]), true)
    await link.command(radio, WifiCmd.Reconnect)
    // A radio that is joined already tells nothing new.
    let event = await Promise.race([told, ...[joinedNow(link, radio, network.name)]])
    if (event === "not-yet") event = await told
    if (event === "joined" || (typeof event === "object" && event.code === WifiEvent.GotIp)) {
        const address = addressOf(await link.read(radio, WifiReg.IpAddress))
        const name = textOf(await link.read(radio, WifiReg.Ssid))
        if (name === network.name && address !== "") return success({ address })
    }
    const refused = typeof event === "object" && event.code === WifiEvent.ConnectionFailed
    return failure(
        "failed",
        refused ? "not-let-in" : "no-address",
        refused
            ? `"${network.name}" does not let the board in`
            : `"${network.name}" gave no address within ${joinMs / 1000} s`,
        { who: "you", next: "check name and password: parley device wifi scan" },
    )
}

async function joinedNow(link: BoardLink, radio: JDService, name: string): Promise<"joined" | "not-yet"> {
    const joined = textOf(await link.read(radio, WifiReg.Ssid))
    const address = addressOf(await link.read(radio, WifiReg.IpAddress))
    return joined === name && address !== "" ? "joined" : "not-yet"
}

export async function forgetNetworks(link: BoardLink, radio: JDService): Promise<boolean> {
    // The ESP32 keeps what it forgets in its flash, until something is written over it.
    await link.command(radio, WifiCmd.AddNetwork, jacdac.jdpack("z z", ["", ""]), true)
    await link.command(radio, WifiCmd.ForgetAllNetworks, Buffer.alloc(0), true)
    const left = await storedNetworks(link, radio)
    if (left) return left.length === 0
    return textOf(await link.read(radio, WifiReg.Ssid)) === ""
}

/** All that comes through a pipe which the board opens back to us. */
async function pipe(link: BoardLink, radio: JDService, command: number): Promise<Buffer[] | undefined> {
    const reader = new jacdac.InPipeReader(link.bus)
    await link.command(radio, command, reader.openCommand(command).data)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>(resolve => {
        timer = setTimeout(() => resolve(undefined), pipeMs)
    })
    try {
        const read = await Promise.race([reader.readAll(), late])
        return read?.output.map(packet => Buffer.from(packet.data))
    } catch {
        return undefined
    } finally {
        clearTimeout(timer)
    }
}

function textOf(data: Buffer | undefined): string {
    if (!data) return ""
    const end = data.indexOf(0)
    return data.toString("utf8", 0, end < 0 ? data.length : end)
}

/** An IPv4 address of 4 bytes, or of 16 padded with zeros. */
function addressOf(data: Buffer | undefined): string {
    if (!data || data.length < 4 || data.subarray(0, 4).every(byte => byte === 0)) return ""
    return [...data.subarray(0, 4)].join(".")
}
