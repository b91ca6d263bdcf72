/**
 * Settings that are tried before they replace working ones. How far a trial is stands in flash, so that a power cut at any
 * write ends with settings that work: the old ones, until the new ones have.
 *
 * A trial is a life of its own: the program restarts into it and, when it fails, out of it.
 */

import * as ds from "@devicescript/core"
import type { Appliance } from "./appliance/appliance"
import { Phase } from "./appliance/phases"
import { toJson } from "./json"
import { type Provisioning, readInteger, saveSetting } from "./settings"

/** In flash beside the outcomes: the next start is a trial; the candidates have worked and are moving to their place. */
const wanted = 16
const moving = 17
const trialMs = 30000
const checkMs = 250
/** What is said over Jacdac is out before the program ends. */
const lastWordsMs = 100

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
    await restart()
}

/** Beside the appliance, which was started with `candidates`. */
export async function watchTrial(appliance: Appliance, candidates: Provisioning): Promise<void> {
    let restMs = trialMs
    while (state === ds.ApplianceTrial.Trying) {
        if (candidates.id === "" || restMs <= 0) {
            await end(candidates.id === "" ? ds.ApplianceTrial.Invalid : ds.ApplianceTrial.Failed)
            await restart()
        }
        if (appliance.link.phase >= Phase.Choosing) await enter(moving)
        await ds.sleep(checkMs)
        restMs -= checkMs
    }
    if (state !== moving) return
    await saveSetting("p.id", toJson(candidates.id))
    await saveSetting("p.secret", toJson(candidates.secret))
    await saveSetting("p.host", toJson(candidates.host))
    await saveSetting("p.port", `${candidates.port}`)
    await end(ds.ApplianceTrial.Accepted)
}

/** Also when the power went between the copies: they are made again. */
async function end(outcome: number): Promise<void> {
    await enter(outcome)
    for (const name of ["id", "secret", "host", "port"]) await saveSetting(`n.${name}`, "")
}

async function enter(next: number): Promise<void> {
    state = next
    await saveSetting("trial", `${next}`)
}

export async function restart(): Promise<void> {
    await ds.sleep(lastWordsMs)
    ds.restart()
}
