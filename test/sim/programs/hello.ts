/** Counts presses of one button, shows them, and says so in the log. */
import * as ds from "@devicescript/core"
import { readSetting } from "@devicescript/settings"
import { utf8Bytes } from "../../../protocol/text"

const button = new ds.Button("call")
const led = new ds.Led("led")
const screen = new ds.CharacterScreen("screen")
let presses = 0
button.down.subscribe(async () => {
    presses = presses + 1
    console.log(`pressed ${presses}`)
    await screen.message.write(`pressed ${presses}`)
})
console.log(`hello ${utf8Bytes("ä")} ${await readSetting("p.id", "nobody")}`)
