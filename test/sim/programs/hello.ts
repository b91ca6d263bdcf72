/** A small appliance: shows what is pressed and turned, lights up, beeps, and counts its boots in flash. */
import * as ds from "@devicescript/core"
import { readSetting, settings } from "@devicescript/settings"
import { utf8Bytes } from "../../../protocol/text"

const buzzer = new ds.Buzzer("buzzer")
const call = new ds.Button("call")
const knob = new ds.RotaryEncoder("knob")
const led = new ds.Led("led")
const menu = new ds.Button("menu")
const mute = new ds.Button("mute")
const screen = new ds.CharacterScreen("screen")
const wifi = new ds.Wifi("wifi")

const boots = (await readSetting("boots", 0)) + 1
await settings.set("boots", Buffer.from(`${boots}`))
const id = await readSetting("p.id", "nobody")

const work: string[] = []
call.down.subscribe(() => {
    work.push("call")
})
menu.down.subscribe(() => {
    work.push("menu")
})
mute.down.subscribe(() => {
    work.push("mute")
})
wifi.lostIp.subscribe(() => {
    work.push("no network")
})
wifi.gotIp.subscribe(() => {
    work.push("network")
})
let position = 0
knob.reading.subscribe(reading => {
    if (reading !== position) work.push(`knob ${reading}`)
    position = reading
})

console.log(`hello ${id} ${utf8Bytes("ä")} boot ${boots}`)
while (true) {
    const next = work.shift()
    if (next === undefined) await ds.sleep(5)
    else {
        console.log(next)
        await screen.message.write(`${id}\n${next}`)
        await led.pixels.write(Buffer.from([0, 128, 255]))
        await buzzer.playNote(440, 0.3, 100)
    }
}
