/**
 * The proof `appliance`: nothing that happens to an appliance in its life brings it down: sessions, brokers that go, power that
 * goes at any moment, hostile settings and messages. The real firmware in a virtual world; one seed gives one run.
 */

import { readFileSync } from "node:fs"
import { compileEntry, describeProblems } from "../../../build/firmware.ts"
import { readManifest } from "../../../build/manifest.ts"
import { readServices } from "../../../sim/simulation.ts"
import { endure } from "./endurance.ts"
import { proveHostile } from "./hostile.ts"
import { proveFlashWrites, proveRandomCuts } from "./power.ts"

export interface Firmware {
    bytecode: Uint8Array
    services: jdspec.ServiceSpec[]
}

export interface ApplianceProof {
    firmware: Firmware
    seed: number
    progress(line: string): void
}

export interface ApplianceSize {
    cycles: number
    losses: number
    /** Power cuts at random instants. */
    cuts: number
    /** Every so many-th flash write of the scripted hour; 1 is each. */
    writeStep: number
    hostile: number
}

/** By share of the whole, for `--count` as a number of join/leave cycles. */
export function sizeOf(cycles: number): ApplianceSize {
    const share = Math.min(1, cycles / 10_000)
    const part = (whole: number) => Math.max(1, Math.round(whole * share))
    const writeStep = Math.max(1, Math.round(1 / Math.sqrt(share)))
    return { cycles, losses: part(1000), cuts: part(2000), writeStep, hostile: part(400) }
}

export async function buildFirmware(): Promise<Firmware> {
    const compiled = await compileEntry(readManifest(), "room-panel")
    if (!compiled.ok) throw new Error(describeProblems(compiled.problems))
    return { bytecode: readFileSync(compiled.devsFile), services: readServices() }
}

export async function proveAppliance(
    size: ApplianceSize,
    seed: number,
    progress: (line: string) => void,
): Promise<Record<string, number>> {
    const proof = { firmware: await buildFirmware(), seed, progress }
    const endured = await endure(proof, size.cycles, size.losses)
    const written = await proveFlashWrites(proof, size.writeStep, 60)
    const cut = await proveRandomCuts(proof, size.cuts)
    const hostile = await proveHostile(proof, size.hostile)
    return {
        cyclesWanted: size.cycles,
        brokerLossesWanted: size.losses,
        ...endured,
        ...written,
        ...hostile,
        powerCuts: written.cutsAtWrites + cut.cuts,
        bricked: written.bricked + cut.bricked,
        panics: endured.panics + written.panics + cut.panics + hostile.panics,
    }
}
