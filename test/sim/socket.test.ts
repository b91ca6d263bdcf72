import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, type Server, type Socket } from "node:net"
import { after, before, describe, test } from "node:test"
import { type Program, runProgram } from "../../sim/vm/program.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { within } from "../support/deadline.ts"
import { program } from "./programs.ts"

describe("the socket of a board", () => {
    const host = loopbackAddress()
    let server: Server
    let port: number
    let bytecode: Buffer
    before(async () => {
        bytecode = await program("talk")
        server = createServer({ noDelay: true }).listen(0, host)
        await once(server, "listening")
        port = (server.address() as { port: number }).port
    })
    after(() => server.close())

    async function connected(localAddress?: string): Promise<{ board: Program; peer: Socket }> {
        const accepted = once(server, "connection")
        const board = await runProgram({ bytecode, localAddress, settings: { "p.host": host, "p.port": port } })
        const [peer] = (await within(accepted, "a connection")) as [Socket]
        peer.on("error", () => {})
        assert.equal(String(await read(peer, 5)), "hello")
        return { board, peer }
    }

    /** Exactly `count` bytes of what comes. */
    async function read(peer: Socket, count: number): Promise<Buffer> {
        const parts: Buffer[] = []
        let got = 0
        await within(
            new Promise<void>(resolve => {
                const take = (part: Buffer) => {
                    parts.push(part)
                    got += part.length
                    if (got < count) return
                    peer.off("data", take)
                    resolve()
                }
                peer.on("data", take)
            }),
            `${count} bytes`,
        )
        return Buffer.concat(parts)
    }

    const numbers = (count: number) => Buffer.from(Array.from({ length: count }, (_, i) => (i * 7) & 255))

    test("comes from the board's own address", async () => {
        const address = loopbackAddress()
        const { board, peer } = await connected(address)
        assert.equal(peer.remoteAddress, address)
        board.stop()
        peer.destroy()
    })

    test("carries what is larger than the ESP32 takes at once in pieces of at most 1 KB, in order", async () => {
        const { board, peer } = await connected()
        const sent = numbers(6000)
        const echo = read(peer, sent.length)
        peer.write(sent)
        assert.deepEqual(await echo, sent)
        assert.match(board.log.lines.filter(line => line.text.includes("piece")).at(-1)!.text, /piece 1024$/)
        board.stop()
        peer.destroy()
    })

    test("over a slow and lossy radio comes late, but whole and in order", async () => {
        const { board, peer } = await connected()
        board.wifi.set({ delayMs: 20, lossPercent: 20 })
        const sent = numbers(4000)
        const startMs = performance.now()
        const echo = read(peer, sent.length)
        peer.write(sent)
        assert.deepEqual(await echo, sent)
        assert.ok(performance.now() - startMs >= 40)
        board.stop()
        peer.destroy()
    })

    test("lives through a pause of the radio, as TCP does", async () => {
        const { board, peer } = await connected()
        board.wifi.set({ up: false })
        let heard = 0
        peer.on("data", data => {
            heard += data.length
        })
        peer.write("over the gap")
        // Real time for what must not happen: the echo would be back in a few milliseconds.
        await new Promise(resolve => setTimeout(resolve, 150))
        assert.equal(heard, 0)
        const echo = read(peer, 12)
        board.wifi.set({ up: true })
        assert.equal(String(await echo), "over the gap")
        board.stop()
        peer.destroy()
    })

    test("without radio cannot be opened, and with it can again", async () => {
        const { board, peer } = await connected()
        board.wifi.set({ up: false })
        peer.destroy()
        board.wifi.set({ up: true })
        await board.line("closed")
        board.wifi.set({ up: false })
        await board.line("the network is down")
        const again = once(server, "connection")
        board.wifi.set({ up: true })
        const [next] = (await within(again, "a new connection")) as [Socket]
        board.stop()
        next.destroy()
    })

    test("of a board whose power went tells its peer nothing", async () => {
        const { board, peer } = await connected()
        const told: string[] = []
        for (const event of ["end", "close", "error"]) peer.on(event, () => told.push(event))
        board.stop()
        peer.write("are you there")
        await new Promise(resolve => setTimeout(resolve, 150))
        assert.deepEqual(told, [])
        peer.destroy()
    })
})
