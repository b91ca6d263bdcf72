/**
 * What came and waits for the application, in order and bounded in number and bytes.
 *
 * Owns the order of acknowledgements: a QoS 1 message, also a refused one, is acknowledged when its turn has come and
 * gone. What finds the inbox full is not acknowledged, and neither is anything after it: the client then ends the
 * connection, and the broker delivers all of it again, in order. Never calls the application.
 */

/** What an entry costs beside its topic and payload. */
const entryBytes = 96

export class Incoming {
    bytes: number

    constructor(
        /** Undefined for a refused message, which only waits to be acknowledged. */
        public topic: string,
        private payload: Buffer,
        /** 0 at QoS 0. */
        public packetId: number,
        /** The connection that it came in: only there can it be acknowledged. */
        public attempt: number,
    ) {
        this.bytes = entryBytes + (payload ? payload.length + topic.length : 0)
    }

    /** For whoever handles the message, who alone decides from then on how long it stays in memory. */
    takePayload(): Buffer {
        const payload = this.payload
        this.payload = undefined
        return payload
    }
}

export class Inbox {
    /** A QoS 1 message found no room in this connection. */
    overflowed = false

    private items: Incoming[] = []
    private bytes = 0

    constructor(
        private messagesLimit: number,
        private bytesLimit: number,
    ) {}

    /** Whether it was taken. */
    add(topic: string, payload: Buffer, packetId: number, attempt: number): boolean {
        const qos1 = packetId > 0
        if (qos1 && this.overflowed) return false
        const item = new Incoming(topic, payload, packetId, attempt)
        const full = this.items.length >= this.messagesLimit || this.bytes + item.bytes > this.bytesLimit
        if (full && this.items.length > 0) {
            this.overflowed = qos1 || this.overflowed
            return false
        }
        this.items.push(item)
        this.bytes += item.bytes
        return true
    }

    /** The message whose turn it is; it keeps its room until `remove`. */
    first(): Incoming {
        return this.items[0]
    }

    remove(item: Incoming): void {
        const at = this.items.indexOf(item)
        if (at < 0) return
        this.items.insert(at, -1)
        this.bytes -= item.bytes
    }

    /**
     * A new connection begins. When the broker has kept the session it delivers everything that was not acknowledged
     * again, in order: what waits of it here would come twice and out of order, so it goes. `handled` is being handled.
     */
    connected(sessionPresent: boolean, handled: Incoming): void {
        this.overflowed = false
        if (!sessionPresent) return
        for (const item of this.items.slice()) if (item.packetId > 0 && item !== handled) this.remove(item)
    }
}
