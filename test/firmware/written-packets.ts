/**
 * What the firmware wrote to its socket, read as a strict broker would: anything that is no MQTT of a client is a problem.
 */

type Kind = "connect" | "publish" | "puback" | "subscribe" | "pingreq" | "disconnect"

const kinds: Record<number, Kind> = {
    1: "connect",
    3: "publish",
    4: "puback",
    8: "subscribe",
    12: "pingreq",
    14: "disconnect",
}
const inFlightMax = 8

/** One connection's. */
export class WrittenPackets {
    /** The first thing that was wrong, since the beginning: `reset` keeps it. */
    problem = ""
    payloads: string[] = []
    publishes: { payload: string; packetId: number; again: boolean }[] = []
    /** Identifiers of the PUBACKs, in order. */
    acknowledged: number[] = []
    /** What the CONNECT asked for. */
    cleanSession = false
    /** The broker makes up acknowledgements: identifiers are free again that look taken from here. */
    acknowledgesAtRandom = false
    #rest = Buffer.alloc(0)
    #seen: Kind[] = []
    /** Identifiers of QoS 1 messages that were not acknowledged. */
    #inFlight: number[] = []

    /** A new connection. */
    reset(): void {
        this.payloads = []
        this.publishes = []
        this.acknowledged = []
        this.#rest = Buffer.alloc(0)
        this.#seen = []
        this.#inFlight = []
    }

    summary(): string {
        return `it wrote ${this.#seen.slice(-20).join(" ")}`
    }

    has(kind: Kind): boolean {
        return this.#seen.includes(kind)
    }

    add(data: Uint8Array): void {
        this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : Buffer.from(data)
        for (;;) {
            const head = header(this.#rest)
            if (head === undefined) return
            if (head.length > 4096) return this.#wrong(`a packet of ${head.length} bytes`)
            const end = head.at + head.length
            if (this.#rest.length < end) return
            this.#packet(this.#rest[0], this.#rest.subarray(head.at, end))
            this.#rest = this.#rest.subarray(end)
        }
    }

    /** A PUBACK for each message that waits for one. */
    takeAcknowledgements(): Buffer[] {
        const acks = this.#inFlight.map(id => Buffer.from([0x40, 2, id >> 8, id & 255]))
        this.#inFlight = []
        return acks
    }

    #packet(first: number, body: Buffer): void {
        const kind = kinds[first >> 4]
        if (!kind) return this.#wrong(`a packet of type ${first >> 4}`)
        if (kind === "connect" ? this.#seen.length > 0 : this.#seen[0] !== "connect") this.#wrong(`${kind} out of turn`)
        if (this.#seen.length < 1000) this.#seen.push(kind)
        if (kind === "publish") return this.#publish(first, body)
        if ((first & 15) !== (kind === "subscribe" ? 2 : 0)) this.#wrong(`${kind} with flags ${first & 15}`)
        if (kind === "connect") this.cleanSession = (body[7] & 2) !== 0
        if (kind === "puback" && this.acknowledged.length < 1000) this.acknowledged.push(body.readUInt16BE(0))
        if (kind === "puback" && (body.length !== 2 || body.readUInt16BE(0) === 0)) this.#wrong("a bad puback")
        if ((kind === "pingreq" || kind === "disconnect") && body.length > 0) this.#wrong(`${kind} with a body`)
    }

    #publish(first: number, body: Buffer): void {
        const qos = (first >> 1) & 3
        const topicEnd = 2 + body.readUInt16BE(0)
        const end = topicEnd + qos * 2
        if (qos > 1 || end > body.length) return this.#wrong("a bad publish")
        if (!body.subarray(2, topicEnd).toString().startsWith("parley/v1/ep/board-t/"))
            this.#wrong("a publish elsewhere")
        if (qos === 1) {
            const id = body.readUInt16BE(topicEnd)
            if (id === 0 || (!this.acknowledgesAtRandom && this.#inFlight.includes(id)))
                this.#wrong(`a publish under the identifier ${id}`)
            this.#inFlight.push(id)
            // Acknowledgements that the hostile broker made up are not known here, so only connections without them count.
            if (!this.acknowledgesAtRandom && this.#inFlight.length > inFlightMax)
                this.#wrong("more than eight in flight")
        }
        if (this.payloads.length >= 1000) return
        const payload = body.subarray(end).toString()
        this.payloads.push(payload)
        this.publishes.push({
            payload,
            packetId: qos === 1 ? body.readUInt16BE(topicEnd) : 0,
            again: (first & 8) !== 0,
        })
    }

    #wrong(what: string): void {
        if (this.problem === "") this.problem = what
    }
}

/** Where a packet's body begins and how long it is; undefined while that is not known. */
function header(bytes: Buffer): { at: number; length: number } | undefined {
    let length = 0
    for (let i = 1; i < bytes.length && i <= 4; i++) {
        length += (bytes[i] & 127) * 128 ** (i - 1)
        if (bytes[i] < 128) return { at: i + 1, length }
    }
    return undefined
}
