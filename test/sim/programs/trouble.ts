/** Goes wrong in the way that the setting "mode" names; "count" counts the seconds instead. */
import * as ds from "@devicescript/core"
import { readSetting } from "@devicescript/settings"

const mode = await readSetting("mode", "count")
console.log(`mode ${mode}`)
await ds.sleep(100)
if (mode === "throw") throw new Error("on purpose")
if (mode === "steps") {
    let i = 0
    while (true) i = i + 1
}
if (mode === "memory") {
    const all: Buffer[] = []
    while (true) all.push(Buffer.alloc(1000))
}
if (mode === "reset") ds.reboot()
let seconds = 0
while (true) {
    await ds.sleep(1000)
    seconds = seconds + 1
    if (seconds <= 3 || seconds % 600 === 0) console.log(`second ${seconds}`)
}
