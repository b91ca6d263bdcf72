/**
 * The boot loader of an ESP32 on the far end of a PTY, as far as esptool-js speaks to it before and after its stub: SLIP
 * frames, synchronisation, chip identity, memory, compressed flash, MD5. Takes the stub without running it and answers for it.
 */

import { createHash } from "node:crypto"
import { inflateSync } from "node:zlib"
import { SerialPort } from "serialport"

const op = { sync: 0x08, memEnd: 0x06, readReg: 0x0a, deflBegin: 0x10, deflData: 0x11, md5: 0x13, security: 0x14 }

export class RomLoader {
    readonly flash = Buffer.alloc(4 * 1024 * 1024, 0xff)
    readonly seen = new Set<number>()
    #port: SerialPort
    #pending = Buffer.alloc(0)
    #blocks: Buffer[] = []
    #isStub = false
    #chipId: number

    private constructor(port: SerialPort, chipId: number) {
        this.#port = port
        this.#chipId = chipId
        port.on("data", bytes => this.#take(bytes))
    }

    static async open(path: string, chipId: number): Promise<RomLoader> {
        const port = new SerialPort({ path, baudRate: 115_200, autoOpen: false })
        await new Promise<void>((resolve, reject) => port.open(error => (error ? reject(error) : resolve())))
        return new RomLoader(port, chipId)
    }

    close(): Promise<void> {
        return new Promise(resolve => this.#port.close(() => resolve()))
    }

    #take(bytes: Buffer): void {
        this.#pending = Buffer.concat([this.#pending, bytes])
        for (;;) {
            const from = this.#pending.indexOf(0xc0)
            const to = this.#pending.indexOf(0xc0, from + 1)
            if (from < 0 || to < 0) return
            const frame = this.#pending.subarray(from + 1, to)
            this.#pending = this.#pending.subarray(frame.length === 0 ? to : to + 1)
            if (frame.length >= 8) this.#answer(unescaped(frame))
        }
    }

    #answer(packet: Buffer): void {
        const code = packet[1]
        const body = packet.subarray(8)
        this.seen.add(code)
        if (code === op.deflBegin) this.#blocks = []
        if (code === op.deflData) this.#blocks.push(body.subarray(16))
        let data = Buffer.alloc(0)
        if (code === op.security) {
            data = Buffer.alloc(20)
            data.writeUInt32LE(this.#chipId, 12)
        }
        if (code === op.md5) {
            this.flash.set(inflateSync(Buffer.concat(this.#blocks)), 0)
            const at = body.readUInt32LE(0)
            data = createHash("md5")
                .update(this.flash.subarray(at, at + body.readUInt32LE(4)))
                .digest()
        }
        const status = Buffer.alloc(this.#isStub ? 2 : 4)
        const head = Buffer.alloc(8)
        head[0] = 1
        head[1] = code
        head.writeUInt16LE(data.length + status.length, 2)
        const times = code === op.sync ? 8 : 1
        for (let i = 0; i < times; i++) this.#send(Buffer.concat([head, data, status]))
        if (code === op.memEnd) {
            this.#isStub = true
            this.#send(Buffer.from("OHAI"))
        }
    }

    #send(packet: Buffer): void {
        const bytes = [...packet].flatMap(byte =>
            byte === 0xc0 ? [0xdb, 0xdc] : byte === 0xdb ? [0xdb, 0xdd] : [byte],
        )
        this.#port.write(Buffer.from([0xc0, ...bytes, 0xc0]))
    }
}

function unescaped(frame: Buffer): Buffer {
    const bytes: number[] = []
    for (let i = 0; i < frame.length; i++)
        if (frame[i] !== 0xdb) bytes.push(frame[i])
        else bytes.push(frame[++i] === 0xdc ? 0xc0 : 0xdb)
    return Buffer.from(bytes)
}
