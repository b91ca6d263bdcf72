import assert from "node:assert/strict"
import { once } from "node:events"
import { describe, test } from "node:test"
import { errnos, type Libc, loadLibc } from "../../media/batch-udp/libc.ts"
import { BatchLoop } from "../../media/batch-udp/loop.ts"
import { BatchSocket } from "../../media/batch-udp/socket.ts"
import { Wake } from "../../media/batch-udp/wake.ts"
import { type MediaHost, systemHost } from "../../media/host.ts"
import { fixedBytes } from "../../media/native.ts"
import { Ticker, type TickListener } from "../../media/ticker.ts"
import type { UdpIo } from "../../media/udp.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { startChild } from "../support/child.ts"
import { eventually, within } from "../support/deadline.ts"

const libc = loadLibc()
const onlyLinux = libc ? false : "koffi is not installed, or this is not Linux on x64 or arm64"

const hosts: { name: string; skip: string | false; open: () => MediaHost }[] = [
    { name: "Node's dgram", skip: false, open: () => systemHost },
    { name: "many datagrams in a call", skip: onlyLinux, open: () => BatchLoop.open()! },
]

/** A socket that keeps a copy of what comes. */
async function listen(host: MediaHost, ip = loopbackAddress(), port = 0) {
    const heard: { text: string; bytes: number; ip: string; port: number }[] = []
    const opened = await host.openUdp(ip, port, (datagram, fromIp, fromPort) => {
        heard.push({ text: datagram.toString("latin1", 0, 12), bytes: datagram.length, ip: fromIp, port: fromPort })
    })
    assert.ok(opened.ok)
    return { io: opened.value, heard, [Symbol.asyncDispose]: () => opened.value.close() }
}

for (const { name, skip, open } of hosts)
    describe(`UDP by ${name}`, { skip }, () => {
        test("hands each datagram on with where it came from, in order and whole, be it empty or the longest there is", async () => {
            const host = open()
            await using to = await listen(host)
            await using from = await listen(systemHost)
            const lengths = [0, 1, 172, 172, 1400, 65507, 172]
            for (const length of lengths) from.io.send(new Uint8Array(length), to.io.ip, to.io.port)
            await eventually(() => to.heard.length === lengths.length, "all datagrams")
            assert.deepEqual(
                to.heard.map(({ bytes }) => bytes),
                lengths,
            )
            for (const { ip, port } of to.heard) assert.deepEqual([ip, port], [from.io.ip, from.io.port])
        })

        test("what was sent may be written again at once", async () => {
            const host = open()
            await using to = await listen(host)
            await using from = await listen(host)
            const packet = Buffer.alloc(8)
            for (let i = 0; i < 200; i++) {
                packet.write(`${i}`.padEnd(8))
                assert.equal(from.io.send(packet, to.io.ip, to.io.port), true)
            }
            await eventually(() => to.heard.length === 200, "all datagrams")
            assert.deepEqual(
                to.heard.map(({ text }) => Number(text)),
                Array.from({ length: 200 }, (_, i) => i),
            )
        })

        test("an answer from within the handler goes out, though the datagram is overwritten afterwards", async () => {
            const host = open()
            let io: UdpIo | undefined
            const opened = await host.openUdp(loopbackAddress(), 0, (datagram, ip, port) => {
                datagram.write("re", 0)
                io?.send(datagram, ip, port)
            })
            assert.ok(opened.ok)
            io = opened.value
            await using asker = await listen(systemHost)
            for (const text of ["as:one", "as:two", "as:three"]) asker.io.send(Buffer.from(text), io.ip, io.port)
            await eventually(() => asker.heard.length === 3, "the answers")
            assert.deepEqual(asker.heard.map(({ text }) => text).sort(), ["re:one", "re:three", "re:two"])
            await io.close()
        })

        test("an address that is taken, and one that is not this machine's, are refused with what the operator can do", async () => {
            const host = open()
            await using taken = await listen(host)
            const again = await host.openUdp(taken.io.ip, taken.io.port, () => {})
            assert.ok(!again.ok)
            assert.equal(again.code, "address-in-use")
            assert.equal(again.who, "operator")
            assert.match(again.what, new RegExp(`${taken.io.ip}:${taken.io.port} is used by another process`))
            const foreign = await host.openUdp("192.0.2.1", 0, () => {})
            assert.ok(!foreign.ok)
            assert.equal(foreign.code, "address-unavailable")
            assert.match(foreign.what, /192\.0\.2\.1:0: EADDRNOTAVAIL/)
        })

        test("what cannot be sent is counted and harms no other datagram", async () => {
            const host = open()
            await using to = await listen(host)
            await using from = await listen(host)
            // A socket of 127.* has no way to there.
            from.io.send(Buffer.from("nowhere"), "192.0.2.1", 9)
            from.io.send(Buffer.from("here"), to.io.ip, to.io.port)
            await eventually(() => to.heard.length === 1 && from.io.sendFailures === 1, "one sent and one counted")
        })

        test("what comes together is one turn, and behind as many as a turn takes it is said that there are no more", async () => {
            const host = open()
            const turns: boolean[] = []
            let heard = 0
            const opened = await host.openUdp(loopbackAddress(), 0, () => heard++, { onTurn: more => turns.push(more) })
            assert.ok(opened.ok)
            await using from = await listen(systemHost)
            // As many as a turn takes, of dgram twice.
            for (let i = 0; i < 64; i++) from.io.send(Buffer.from("x"), opened.value.ip, opened.value.port)
            await eventually(() => heard === 64 && turns.at(-1) === false, "the end of the turns")
            assert.ok(turns.includes(true))
            await opened.value.close()
        })

        test("once closed, nothing is sent and nothing is handed on", async () => {
            const host = open()
            await using from = await listen(host)
            let heard = 0
            const opened = await host.openUdp(loopbackAddress(), 0, () => {
                heard++
                void io.close()
            })
            assert.ok(opened.ok)
            const io = opened.value
            await using witness = await listen(host)
            for (let i = 0; i < 5; i++) from.io.send(Buffer.from("x"), io.ip, io.port)
            from.io.send(Buffer.from("last"), witness.io.ip, witness.io.port)
            await eventually(() => heard > 0 && witness.heard.length > 0, "the first datagram")
            assert.equal(heard, 1)
            assert.equal(io.send(Buffer.from("x"), witness.io.ip, witness.io.port), false)
        })
    })

describe("the loop for many datagrams", { skip: onlyLinux }, () => {
    test("runs a ticker, and sends at once what is sent in a tick", async () => {
        const loop = BatchLoop.open()!
        await using to = await listen(systemHost)
        const opened = await loop.openUdp(loopbackAddress(), 0, () => {})
        assert.ok(opened.ok)
        const io = opened.value
        const ticker = new Ticker(5, loop.clock)
        const deadlines: number[] = []
        const fourTicks = new Promise<void>(resolve => {
            const listener: TickListener = {
                onTick: deadlineMs => {
                    assert.ok(performance.now() > deadlineMs - 0.5, "not before its time")
                    deadlines.push(deadlineMs)
                    io.send(Buffer.from(`${deadlines.length}`), to.io.ip, to.io.port)
                    if (deadlines.length < 4) return
                    ticker.remove(listener)
                    resolve()
                },
            }
            ticker.add(listener)
        })
        await within(fourTicks, "four ticks")
        await eventually(() => to.heard.length === 4, "what was sent in them")
        assert.deepEqual(
            to.heard.map(({ text }) => text),
            ["1", "2", "3", "4"],
        )
        await io.close()
    })

    test("a time that was taken back does not come", async () => {
        const loop = BatchLoop.open()!
        const calls: string[] = []
        const takeBack = loop.clock.after(1, () => calls.push("taken back"))
        await within(
            new Promise<void>(resolve => {
                loop.clock.after(3, () => {
                    calls.push("kept")
                    resolve()
                })
                takeBack()
            }),
            "the other time",
        )
        assert.deepEqual(calls, ["kept"])
    })

    test("a wake from outside ends its rest, and Node's own timers go on beside it", async () => {
        assert.ok(libc)
        const wake = Wake.open()!
        const poll = fixedBytes(8)
        const noTime = fixedBytes(16)
        const isSignalled = () => {
            new Int32Array(poll.buffer).set([wake.fd, 1])
            return libc.ppoll(libc.addressOf(poll), 1, libc.addressOf(noTime), 0) > 0
        }
        const loop = BatchLoop.open(wake.fd)!
        const opened = await loop.openUdp(loopbackAddress(), 0, () => {})
        assert.ok(opened.ok)
        // Without being read, the wake would end every rest from now on.
        wake.signal()
        assert.equal(isSignalled(), true)
        await within(new Promise(resolve => setTimeout(resolve, 1)), "a timer of Node's")
        await eventually(() => !isSignalled(), "the wake to be read by the loop")
        await opened.value.close()
        wake.close()
        wake.signal()
    })

    test("a program ends when its sockets are closed", async () => {
        const script = `
            const { BatchLoop } = await import(${JSON.stringify(new URL("../../media/batch-udp/loop.ts", import.meta.url).href)})
            const opened = await BatchLoop.open().openUdp("127.0.0.1", 0, () => {})
            console.log(JSON.stringify({ ready: true }))
            setTimeout(() => opened.value.close(), 5)`
        const child = await startChild(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script])
        if (child.process.exitCode === null) await within(once(child.process, "exit"), "the end of the program", 20_000)
        assert.equal(child.process.exitCode, 0)
    })
})

describe("a socket whose system takes no more", { skip: onlyLinux }, () => {
    /** A system that takes `takes` datagrams in all but those in the slots that it refuses, and then none until it is told otherwise. */
    function stubborn() {
        const system = { takes: 0, errno: errnos.again as number, refused: new Set<number>(), gone: [] as number[] }
        const libc: Libc = {
            ...{ socket: () => 9, bind: () => 0, getsockname: () => 0, setsockopt: () => 0, close: () => 0 },
            ...{ recvmmsg: () => -1, ppoll: () => 0, scheduler: () => 0, setSchedule: () => 0, prctl: () => 0 },
            ...{ eventfd: () => -1, read: () => -1, write: () => -1, addressOf: () => 0, nameOf: String },
            errno: () => system.errno,
            sendmmsg: (_fd: number, address: number, count: number) => {
                let taken = 0
                while (taken < Math.min(count, system.takes) && !system.refused.has(address / 64 + taken)) taken++
                if (taken === 0) return -1
                system.takes -= taken
                for (let i = 0; i < taken; i++) system.gone.push(address / 64 + i)
                return taken
            },
        }
        const owner = { onWaiting: () => {}, onClosed: () => {} }
        const opened = BatchSocket.open(libc, "127.0.0.1", 7, () => {}, {}, owner)
        assert.ok(opened.ok)
        return { system, socket: opened.value }
    }

    test("keeps what is sent meanwhile, drops what may be dropped, and never what may not before its queue is full", () => {
        const { system, socket } = stubborn()
        const send = (mayDrop: boolean) => socket.send(Buffer.alloc(10), "127.0.0.1", 9, mayDrop)
        let sent = 0
        while (send(true)) sent++
        assert.equal(sent, 256)
        assert.equal(socket.sendFailures, 0, "what may be dropped is its sender's to count")
        assert.equal(send(false), true)
        while (send(false)) sent++
        assert.equal(socket.sendFailures, 1)
        assert.equal(socket.flush(), false)
        system.takes = 1000
        assert.equal(socket.flush(), true)
        assert.equal(system.gone.length, 320)
        assert.equal(send(true), true)
    })

    test("goes on behind a datagram that the system refuses", () => {
        const { system, socket } = stubborn()
        for (let i = 0; i < 3; i++) socket.send(Buffer.alloc(10), "127.0.0.1", 9)
        // EPERM, as of a firewall.
        system.errno = 1
        system.refused.add(1)
        system.takes = 1000
        assert.equal(socket.flush(), true)
        assert.equal(socket.sendFailures, 1)
        assert.deepEqual(system.gone, [0, 2])
    })

    test("sends what is left whole and in order once it is taken", async () => {
        assert.ok(libc)
        let takes = 10
        const reluctant: Libc = {
            ...libc,
            errno: () => (takes === 0 ? errnos.again : libc.errno()),
            sendmmsg: (fd, address, count, flags) => {
                const sent = takes === 0 ? -1 : libc.sendmmsg(fd, address, Math.min(count, takes), flags)
                takes -= Math.max(0, sent)
                return sent
            },
        }
        await using to = await listen(systemHost)
        const owner = { onWaiting: () => {}, onClosed: () => {} }
        const opened = BatchSocket.open(reluctant, to.io.ip, 0, () => {}, {}, owner)
        assert.ok(opened.ok)
        const socket = opened.value
        // Each of another length, so that each has to be moved with its own.
        const texts = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(3 + (i % 9), "."))
        for (const text of texts) socket.send(Buffer.from(text), to.io.ip, to.io.port)
        assert.equal(socket.flush(), false)
        takes = 7
        assert.equal(socket.flush(), false)
        takes = 1000
        assert.equal(socket.flush(), true)
        await eventually(() => to.heard.length === texts.length, "all datagrams")
        assert.deepEqual(
            to.heard.map(({ text }) => text),
            texts,
        )
        await socket.close()
    })

    test("does not know an address that is no IPv4 address, nor a datagram longer than any of Parley's", () => {
        const { socket } = stubborn()
        for (const ip of ["::1", "1.2.3", "1.2.3.256", "host"]) socket.send(Buffer.alloc(10), ip, 9)
        socket.send(Buffer.alloc(2049), "127.0.0.1", 9)
        assert.equal(socket.sendFailures, 5)
    })
})
