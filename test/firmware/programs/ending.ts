/** The appliance with a display of its own whose driver fails on the menu, as the setting `fault` says. For tests of what comes after. */

import * as ds from "@devicescript/core"
import { simulatedParts, startAppliance } from "../../../src/app"
import { readInteger } from "../../../src/settings"

const fault = await readInteger("fault", 0, 2, 0)

async function showText(text: string): Promise<void> {
    if (text.indexOf(">Agenda") < 0) return
    let turns = 0
    // More than the machine allows; then never ready; then an exception.
    while (fault === 1) turns++
    if (fault === 2) await ds.sleep(3600000)
    throw new RangeError(`no such row: ${turns}`)
}

const roles = simulatedParts()
roles.showText = showText
await startAppliance("failing-panel", roles)
