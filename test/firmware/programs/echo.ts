/**
 * DeviceScript: an appliance that does nothing but MQTT, for the tests of the client. What a message says decides what is
 * done with it; what happens is told in log lines of the form `@ word ...`.
 */

import * as ds from "@devicescript/core"
import { MqttClient } from "../../../src/mqtt/client"
import { isUtf8, parseJson } from "../../../src/mqtt/text"

const id = "board-t"
const root = "parley/v1/ep/board-t/"

// The host of the test connects every socket to its broker, whatever stands here.
const client = new MqttClient({
    host: "broker",
    port: 1883,
    id,
    secret: "board-t-secret",
    keepaliveSeconds: 4,
    willTopic: root + "state",
    willPayload: "gone",
    filter: root + "in/#",
    maxPayloadBytes: 1024,
    inboxMessages: 12,
    inboxBytes: 6144,
})

/** Messages that the client has taken. Their acknowledgements come in their order. */
let taken = 0

/** Until the broker has acknowledged it, however many reconnects later: true. False when it is not taken or given up. */
async function publish(topic: string, payload: string | Buffer, retain: boolean): Promise<boolean> {
    if (!client.publish(topic, payload, retain)) return false
    taken++
    const ticket = taken
    const { outbox } = client
    const droppedBefore = outbox.dropped
    while (outbox.published + outbox.dropped < ticket) await ds.sleep(1)
    return outbox.dropped === droppedBefore
}

let births = 0

client.onConnected = async () => {
    births++
    console.log("@ up", births)
    await publish(root + "state", "here", true)
}

client.onDisconnected = why => {
    console.log("@ down", why)
}

client.onRefused = code => {
    console.log("@ refused", code)
}

let counting = false

/** Publishes `many` numbered messages, one after the other. */
async function count(many: number) {
    if (counting) return
    counting = true
    for (let i = 0; i < many; i++) {
        while (!(await publish(root + "out/group/count", `${i}`, false))) await ds.sleep(50)
    }
    counting = false
    console.log("@ counted", many)
}

function tell() {
    const { received, outbox, refused, reconnects } = client
    console.log("@ counters", received, outbox.published, refused, reconnects, outbox.dropped)
}

/** Every text in `value`, joined. */
function join(value: any): number {
    if (typeof value === "string") return `${value}|${value}`.length
    let length = 0
    if (value && typeof value === "object") {
        for (const key of Object.keys(value)) length += (key + "=").length + join(value[key])
    }
    return length
}

client.onMessage = async (topic, payload) => {
    const parts = topic.split("/")
    const verb = parts[parts.length - 1]
    if (verb === "echo") {
        // A full outbox is a matter of time.
        let sent = false
        for (let i = 0; i < 1000 && !sent; i++) {
            sent = await publish(root + "out/group/echo", payload, false)
            if (!sent) await ds.sleep(20)
        }
        if (!sent) console.log("@ lost")
    } else if (verb === "queue") {
        // Without waiting for the acknowledgement: uses the window of eight.
        if (client.publish(root + "out/group/echo", payload, false)) taken++
    } else if (verb === "slow") {
        await ds.sleep(30)
        console.log("@ slow", isUtf8(payload) ? payload.toString() : "?")
    } else if (verb === "throw") {
        throw new Error("thrown on purpose")
    } else if (verb === "count") {
        count.start(isUtf8(payload) ? parseInt(payload.toString()) : 1)
    } else if (verb === "parse") {
        const value = parseJson(payload)
        if (value === undefined) throw new Error("not JSON")
        // Joined, as a panel would: that is where the VM finds bad characters.
        console.log("@ parsed", typeof value, join(value))
    } else if (verb === "tell") {
        tell()
    }
}

client.start()
