/**
 * Traffic for the failover bench inside a network namespace, in plain JavaScript so that it starts at once.
 *
 *     node udp-echo.mjs echo ADDRESS PORT                 returns every datagram to its sender
 *     node udp-echo.mjs send FROM TO PORT EVERY_MS        sends, and prints each silence of more than 50 ms when it ends
 */

import { createSocket } from "node:dgram"
import { argv, stdout } from "node:process"

const [role, address, ...rest] = argv.slice(2)
const silenceMs = 50
const { timeOrigin } = performance
const socket = createSocket("udp4")
// No route for the moment, or nobody there yet: that is what is measured.
socket.on("error", () => {})
const say = value => stdout.write(`${JSON.stringify(value)}\n`)

if (role === "echo") {
    socket.on("message", (datagram, from) => socket.send(datagram, from.port, from.address, () => {}))
    socket.bind(Number(rest[0]), address, () => say({ ready: true }))
} else {
    const [to, port, everyMs] = rest
    let lastMs = 0
    let dueMs = 0
    socket.on("message", () => {
        const nowMs = performance.now()
        if (lastMs === 0) say({ flows: true })
        else if (nowMs - lastMs > silenceMs) say({ fromMs: timeOrigin + lastMs, silentMs: nowMs - lastMs })
        lastMs = nowMs
    })
    const send = () => {
        socket.send("echo", Number(port), to, () => {})
        dueMs += Number(everyMs)
        setTimeout(send, Math.max(1, dueMs - performance.now()))
    }
    socket.bind(0, address, () => {
        say({ ready: true })
        dueMs = performance.now()
        send()
    })
}
