/**
 * What makes a board begin again: a reboot, another program, the state of the factory. Owns how each is asked for and what
 * shows that it has happened.
 */

import { createHash } from "node:crypto"
import { readCounters } from "../../serial/appliance-counters.ts"
import { jacdac } from "../../serial/jacdac.ts"
import { realClock } from "../../sim/clock.ts"
import { padToBlock, verifyBytecode } from "../../sim/vm/machine.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { applianceCodes, type PhaseName, readPhase } from "./appliance-service.ts"
import { applianceClass, type BoardLink } from "./board-link.ts"
import { forgetNetworks } from "./radio.ts"
import { SettingsStore } from "./settings-store.ts"

/** The part of the flash that program and settings share, without room for settings. */
export const bytecodeBytesMax = 200 * 1024
const resetMagic = 0x7e5e7000
const restartMs = 20_000
const lookAgainMs = 250
const commandAttempts = 2

export async function reboot(link: BoardLink): Promise<Outcome<{ boot: number }>> {
    const machine = await link.machine()
    if (!machine) return silent(link)
    const before = await bootOf(link)
    await link.command(machine.service(0)!, jacdac.ControlCmd.Reset)
    const boot = await until(link, async () => {
        const now = await bootOf(link)
        return now !== undefined && now !== before ? now : undefined
    })
    if (boot !== undefined) return success({ boot })
    return failure("timeout", "not-back", "the board was told to reboot and did not come back in time", {
        who: "you",
        next: "parley device doctor",
    })
}

async function bootOf(link: BoardLink): Promise<number | undefined> {
    const [service] = link.services(applianceClass)
    return readCounters(await link.read(service, applianceCodes.registers.counters))?.boot
}

export interface Deployed {
    bytes: number
    /** Of what lies in flash, told by the board after it was written. */
    sha256: string
    milliseconds: number
    phase: PhaseName | null
}

/** Writes a program and compares what the board then says of it. */
export async function deploy(
    link: BoardLink,
    bytecode: Uint8Array,
    progress: (share: number) => void,
): Promise<Outcome<Deployed>> {
    if (bytecode.length > bytecodeBytesMax)
        return failure("failed", "too-large", `${bytecode.length} bytes; at most ${bytecodeBytesMax} fit`, {
            who: "maker",
        })
    if (!(await verifyBytecode(realClock, bytecode)))
        return failure("failed", "damaged", "this is no bytecode that the machine accepts; nothing was written", {
            who: "you",
            next: "give the file ending in .devs that `npm run build` makes",
        })
    const manager = await link.service(jacdac.SRV_DEVICE_SCRIPT_MANAGER)
    if (!manager) return silent(link)
    const image = Buffer.from(padToBlock(bytecode))
    const sha256 = createHash("sha256").update(image).digest("hex")
    const startMs = performance.now()
    try {
        await jacdac.OutPipe.sendBytes(manager, jacdac.DeviceScriptManagerCmd.DeployBytecode, image, progress)
    } catch (error) {
        return failure("failed", "cut-off", `the transfer broke off: ${(error as Error).message}`, {
            who: "you",
            next: "parley device deploy again: the board keeps no half program running",
        })
    }
    const milliseconds = Math.round(performance.now() - startMs)
    const told = await until(link, () => link.read(manager, jacdac.DeviceScriptManagerReg.ProgramSha256))
    if (told?.toString("hex") !== sha256)
        return failure("failed", "hash-differs", "what lies in the board's flash is not what was sent", {
            who: "you",
            next: "parley device deploy again; then another cable",
            details: { sent: sha256, told: told?.toString("hex") ?? null },
        })
    const phase = await until(link, async () => await readPhase(link, link.services(applianceClass)[0]))
    return success({ bytes: image.length, sha256, milliseconds, phase: phase ?? null })
}

/** Erases Wi-Fi, identity, secret, broker and schedule, and looks afterwards whether they are gone. */
export async function factoryReset(link: BoardLink): Promise<Outcome<{ phase: PhaseName }>> {
    const service = await link.service(applianceClass)
    if (!service) return silent(link)
    const radio = await link.service(jacdac.SRV_WIFI)
    const isForgotten = radio !== undefined && (await forgetNetworks(link, radio))
    const magic = Buffer.alloc(4)
    magic.writeUInt32LE(resetMagic)
    let phase: "unprovisioned" | undefined
    // Not acknowledged: one that is lost is sent again.
    for (let attempt = 0; attempt < commandAttempts && !phase; attempt++) {
        await link.command(service, applianceCodes.commands.factoryReset, magic)
        phase = await until(link, async () => {
            const now = await readPhase(link, link.services(applianceClass)[0])
            return now === "unprovisioned" ? now : undefined
        })
    }
    const store = await SettingsStore.of(link)
    const left = store.ok ? await store.value.config() : store
    if (!left.ok) return left
    const { id, secret, broker } = left.value
    const kept = [id ? "id" : "", secret ? "secret" : "", broker ? "broker" : "", isForgotten ? "" : "Wi-Fi"].filter(
        key => key !== "",
    )
    if (phase && kept.length === 0) return success({ phase })
    return failure("failed", "not-erased", `the board still has its ${kept.join(", ") || "former state"}`, {
        who: "maker",
        next: "flash it anew before it leaves the house",
    })
}

async function until<T>(link: BoardLink, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const endMs = performance.now() + restartMs
    while (performance.now() < endMs && !link.ended) {
        const found = await look()
        if (found !== undefined) return found
        await new Promise(resolve => setTimeout(resolve, lookAgainMs))
    }
    return undefined
}

function silent(link: BoardLink) {
    return failure("timeout", "no-answer", `no board answers at ${link.path}`, {
        who: "you",
        next: "parley device doctor",
    })
}
