/**
 * A serial port of this computer as the Web Serial API shows one, as far as esptool-js uses it: open, close, streams, control
 * lines. Owns the port while it is open. Never interprets a byte.
 */

import { SerialPort } from "serialport"

interface Signals {
    dataTerminalReady?: boolean
    requestToSend?: boolean
    break?: boolean
}

export class WebSerialPort {
    readable: ReadableStream<Uint8Array> | null = null
    writable: WritableStream<Uint8Array> | null = null
    /** The port has no control lines (a PTY): the chip cannot be put into its boot loader from here. */
    hasNoSignals = false
    readonly #path: string
    #port: SerialPort | undefined
    #usb: { usbVendorId?: number; usbProductId?: number } = {}
    #signals = { dtr: false, rts: false, brk: false }

    constructor(path: string) {
        this.#path = path
    }

    async open({ baudRate }: { baudRate: number }): Promise<void> {
        const port = new SerialPort({ path: this.#path, baudRate, autoOpen: false })
        await called(done => port.open(done))
        this.#port = port
        // Where the system lists no ports, resetting is as by a USB bridge.
        const known = (await SerialPort.list().catch(() => [])).find(one => one.path === this.#path)
        if (known?.vendorId && known.productId)
            this.#usb = { usbVendorId: parseInt(known.vendorId, 16), usbProductId: parseInt(known.productId, 16) }
        this.readable = new ReadableStream<Uint8Array>({
            start(controller) {
                port.on("data", (bytes: Buffer) => controller.enqueue(new Uint8Array(bytes)))
                port.once("close", () => {
                    try {
                        controller.close()
                    } catch {
                        // Whoever read it has cancelled it.
                    }
                })
            },
        })
        this.writable = new WritableStream<Uint8Array>({
            async write(bytes) {
                await called(done => port.write(Buffer.from(bytes), error => done(error ?? null)))
                await called(done => port.drain(done))
            },
        })
    }

    async close(): Promise<void> {
        const port = this.#port
        this.#port = undefined
        this.readable = null
        this.writable = null
        if (port?.isOpen) await called(done => port.close(done))
    }

    /** Of the port without closing it, which would let the chip's native USB start again. */
    async setBaudRate(baudRate: number): Promise<void> {
        const port = this.#port
        if (port) await called(done => port.update({ baudRate }, done))
    }

    async setSignals({ dataTerminalReady, requestToSend, break: brk }: Signals): Promise<void> {
        const { dtr, rts, brk: before } = this.#signals
        this.#signals = { dtr: dataTerminalReady ?? dtr, rts: requestToSend ?? rts, brk: brk ?? before }
        const port = this.#port
        if (!port || this.hasNoSignals) return
        try {
            await called(done => port.set(this.#signals, done))
        } catch {
            this.hasNoSignals = true
        }
    }

    /** esptool-js asks whether it is the USB of the chip itself; it then resets in another way. */
    getInfo(): { usbVendorId?: number; usbProductId?: number } {
        return this.#usb
    }
}

function called(act: (done: (error: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => act(error => (error ? reject(error) : resolve())))
}
