/** Keeps one connection to p.host:p.port and sends back what comes. */
import * as ds from "@devicescript/core"
import { connect } from "@devicescript/net"
import { readSetting } from "@devicescript/settings"

const host = await readSetting("p.host", "")
const port = await readSetting("p.port", 0)
while (true) {
    try {
        const socket = await connect({ host, port, proto: "tcp", timeout: 5000 })
        console.log("open")
        await socket.send("hello")
        let largest = 0
        while (true) {
            const data = await socket.recv()
            if (!data) break
            if (data.length > largest) {
                largest = data.length
                console.log(`piece ${largest}`)
            }
            await socket.send(data)
        }
    } catch (_e) {
        console.log("failed")
    }
    console.log("closed")
    await ds.sleep(200)
}
