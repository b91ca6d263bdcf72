import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { panelPage, renderPanelPage } from "../../build/panel-page.ts"
import { buildFirmware } from "../prove/appliance/appliance.ts"

test("docs/panel.md shows the screens and tables of this firmware", async () => {
    // jacdac-ts talks on the console.
    console.info = console.debug = () => {}
    const { bytecode } = await buildFirmware()
    assert.equal(
        readFileSync(panelPage, "utf8"),
        await renderPanelPage(bytecode),
        "stale: write it anew by `npm run build -- --docs`",
    )
})
