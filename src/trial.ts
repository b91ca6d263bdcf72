/**
 * Settings that are tried before they replace working ones. How far a trial is stands in flash, so that a power cut at any
 * write ends with settings that work: the old ones, until the new ones have.
 *
 * A trial is a life of its own: the program restarts into it and, when it fails, out of it.
 */

import * as ds from "@devicescript/core"
import type { Appliance } from "./appliance/appliance"
import { Phase } from "./appliance/phases"
import { endLife } from "./ending"
import { toJson } from "./json"
import { type Provisioning, provisioned, readInteger, saveSetting } from "./settings"

/** In flash beside the outcomes: the next start is a trial; the candidates have worked and are moving to their place. */
const wanted = 16
const moving = 17
const trialMs = 30000
const checkMs = 250

let state = 0

/** For the register `trial`. */
export function trialOutcome(): number {
    return state >= wanted ? ds.ApplianceTrial.Trying : state
}

/** At the start: under which keys the settings are that are in force. */
export async function settingsInForce(): Promise<string> {
    state = await readInteger("trial", 0, moving, 0)
    if (state === ds.ApplianceTrial.Trying) await end(ds.ApplianceTrial.Interrupted)
    if (state !== wanted) return state === moving ? "n." : "p."
    await enter(ds.ApplianceTrial.Trying)
    return "n."
}

export async function wantTrial(): Promise<void> {
    await enter(wanted)
    await endLife("wanted", "")
}

/** Beside the appliance, which was started with `candidates`. */
export async function watchTrial(appliance: Appliance, candidates: Provisioning): Promise<void> {
    let restMs = trialMs
    while (state === ds.ApplianceTrial.Trying) {
        if (candidates.id === "" || restMs <= 0) {
            await end(candidates.id === "" ? ds.ApplianceTrial.Invalid : ds.ApplianceTrial.Failed)
            await endLife("wanted", "")
        }
        if (appliance.link.phase >= Phase.Choosing) await enter(moving)
        await ds.sleep(checkMs)
        restMs -= checkMs
    }
    if (state !== moving) return
    for (const name of provisioned) await saveSetting(`p.${name}`, toJson(candidates[name]))
    await end(ds.ApplianceTrial.Accepted)
}

/** Also when the power went between the copies: they are made again. */
async function end(outcome: number): Promise<void> {
    await enter(outcome)
    for (const name of provisioned) await saveSetting(`n.${name}`, "")
}

async function enter(next: number): Promise<void> {
    state = next
    await saveSetting("trial", `${next}`)
}
