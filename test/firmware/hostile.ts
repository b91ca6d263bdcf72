/**
 * Hostile byte streams from a broker, made from a seed: noise, broken packets, packets that are legal but at the wrong time,
 * floods, sizes that lie, and payloads that are meant for the application's parser.
 *
 * Owns what is said. Never a socket: `fuzz.ts` feeds it to the firmware.
 */

import type { SeededRandom as Random } from "../support/random.ts"

const inbox = "parley/v1/ep/board-t/in/group/"
const verbs = ["echo", "queue", "slow", "throw", "parse", "count", "tell", "none"]

export function packet(first: number, ...parts: (Buffer | number[])[]): Buffer {
    const body = Buffer.concat(parts.map(part => Buffer.from(part)))
    return Buffer.concat([Buffer.from([first, ...lengthBytes(body.length)]), body])
}

export function lengthBytes(length: number): number[] {
    const bytes: number[] = []
    let rest = length
    do {
        bytes.push((rest & 127) | (rest > 127 ? 128 : 0))
        rest = Math.floor(rest / 128)
    } while (rest > 0)
    return bytes
}

function word(value: number): number[] {
    return [(value >> 8) & 255, value & 255]
}

export function publish(topic: string | Buffer, payload: string | Buffer, qos = 0, packetId = 1, flags = 0): Buffer {
    const name = Buffer.from(topic)
    const id = qos > 0 ? word(packetId) : []
    return packet(0x30 | (qos << 1) | flags, word(name.length), name, id, Buffer.from(payload))
}

export const connAck = (sessionPresent = 0, code = 0) => packet(0x20, [sessionPresent, code])
export const subAck = (packetId = 65535, code = 1) => packet(0x90, word(packetId), [code])
export const pubAck = (packetId: number) => packet(0x40, word(packetId))
export const pingResp = () => packet(0xd0)

/** One kind of attack a function; the stream is made of one to four of them. */
const attacks: ((random: Random) => Buffer)[] = [
    random => random.bytes(random.int(1, 3000)),
    mutated,
    lyingLength,
    random => valid(random).subarray(0, random.int(0, 40)),
    giant,
    oddText,
    tinyFlood,
    storm,
    random =>
        publish(inbox + random.pick(["parse", "echo", "queue"]), jsonBomb(random), random.int(0, 1), random.int(1, 99)),
    oversize,
    slowFlood,
    random => publish(inbox + "count", String(random.int(1, 40)), 1, random.int(1, 65535)),
    random => publish(inbox + "throw", "", 1, random.int(1, 65535)),
    random =>
        publish(
            inbox + "echo",
            random.bytes(random.int(0, 1100)),
            random.int(0, 3),
            random.int(0, 65535),
            random.int(0, 1) * 8,
        ),
    valid,
]

export function hostileStream(random: Random): Buffer {
    const parts: Buffer[] = []
    for (let i = random.int(1, 4); i > 0; i--) parts.push(random.pick(attacks)(random))
    return Buffer.concat(parts)
}

/** Legal packets of all kinds, some of them not for a client. */
function valid(random: Random): Buffer {
    const parts: Buffer[] = []
    for (let i = random.int(1, 12); i > 0; i--)
        parts.push(
            random.pick([
                () =>
                    publish(
                        inbox + random.pick(verbs),
                        String(random.int(0, 99)),
                        random.int(0, 1),
                        random.int(1, 65535),
                    ),
                () => pubAck(random.int(1, 30)),
                () => pingResp(),
                () => subAck(random.pick([65535, 1, 0, 7]), random.pick([0, 1, 2, 128])),
                () => connAck(random.int(0, 3), random.int(0, 6)),
                () => packet(random.int(0, 255), random.bytes(random.int(0, 8))),
            ])(),
        )
    return Buffer.concat(parts)
}

function mutated(random: Random): Buffer {
    let bytes = Buffer.from(valid(random))
    for (let i = random.int(1, 6); i > 0 && bytes.length > 0; i--) {
        const at = random.int(0, bytes.length - 1)
        const kind = random.int(0, 3)
        if (kind === 0) bytes[at] ^= 1 << random.int(0, 7)
        else if (kind === 1) bytes[at] = random.int(0, 255)
        else if (kind === 2)
            bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 5)), bytes.subarray(at)])
        else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(1, 4))])
    }
    return bytes
}

function lyingLength(random: Random): Buffer {
    const body = publish(inbox + random.pick(verbs), random.bytes(random.int(0, 300)), 1, 5).subarray(2)
    const length = Math.max(0, body.length + random.int(-30, 30))
    return Buffer.concat([Buffer.from([0x32, ...lengthBytes(length)]), body])
}

/** Lengths up to 256 MB, and lengths of five bytes. */
function giant(random: Random): Buffer {
    const length = random.pick([16384, 65536, 2097151, 2097152, 268435455])
    const first = random.pick([0x30, 0x32, 0x34, 0x3b, 0x20, 0x40, 0x90, 0xd0])
    const head = random.int(0, 4) === 0 ? [first, 0xff, 0xff, 0xff, 0xff, 0x7f] : [first, ...lengthBytes(length)]
    return Buffer.concat([
        Buffer.from(head),
        Buffer.from(word(random.int(0, 65535))),
        random.bytes(random.int(0, 4000)),
    ])
}

function oddText(random: Random): Buffer {
    const topic = random.pick([
        Buffer.alloc(0),
        Buffer.from([0]),
        Buffer.from([0xc3]),
        Buffer.from([0xff, 0xfe]),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from([0xf0, 0x9f, 0x98]),
        Buffer.from([0xc0, 0x80]),
        Buffer.from([0xf8, 0x88, 0x80, 0x80, 0x80]),
        Buffer.from(`${inbox}\u{1f600}/é`),
        Buffer.from("/".repeat(random.int(1, 128))),
        Buffer.from(inbox + "echo\0"),
        random.bytes(random.int(1, 140)),
        Buffer.alloc(random.int(120, 1100), 0x61),
    ])
    return publish(topic, oddPayload(random), random.int(0, 1), random.int(1, 9))
}

function oddPayload(random: Random): Buffer {
    return random.pick([
        Buffer.alloc(0),
        Buffer.from([0xff, 0xfe, 0]),
        Buffer.from("é\u{1f600}"),
        random.bytes(random.int(0, 60)),
    ])
}

function tinyFlood(random: Random): Buffer {
    const one = random.pick([
        () => publish("a", "", 0),
        () => publish("a", "", 1, random.int(1, 65535)),
        () => publish(inbox + "tell", "", 0),
        () => publish("", "", 1, random.int(1, 65535)),
        () => pingResp(),
        () => pubAck(random.int(1, 65535)),
    ])
    return Buffer.concat(Array.from({ length: random.int(100, 2000) }, one))
}

function storm(random: Random): Buffer {
    const kind = random.pick([() => pubAck(random.int(1, 12)), () => subAck(random.int(0, 65535)), () => connAck(1, 0)])
    return Buffer.concat(Array.from({ length: random.int(2, 400) }, kind))
}

function jsonBomb(random: Random): string {
    const size = random.int(10, 1020)
    return random.pick([
        () => "[".repeat(size),
        () => '{"a":'.repeat(size / 5),
        () => "[".repeat(size / 2) + "]".repeat(size / 2),
        () => `[${"1,".repeat(size / 2 - 2)}1]`,
        () => `[${"{},".repeat(size / 3 - 1)}{}]`,
        () => `[${"[],".repeat(size / 3 - 1)}[]]`,
        () => `{${Array.from({ length: size / 8 }, (_, i) => `"k${i}":0`).join(",")}}`,
        () => `"${"\\u0000".repeat(size / 6)}"`,
        () => `"${"\\".repeat(size)}`,
        () => "1e99999,-0.0e-999",
        () => `1${"0".repeat(size)}`,
        () => `{"__proto__":{"then":1},"constructor":null,"length":-1}`,
        () => "\u{1f600}".repeat(size / 4),
        () => "nul",
        () => "",
    ])()
}

function oversize(random: Random): Buffer {
    const big = publish(inbox + "echo", random.bytes(random.int(1025, 6000)), random.int(0, 1), random.int(1, 65535))
    return Buffer.concat([big, publish(inbox + "echo", "after", 1, random.int(1, 65535))])
}

/** More than the inbox holds, for a handler that takes its time. */
function slowFlood(random: Random): Buffer {
    const from = random.int(1, 60000)
    const payload = random.bytes(random.int(0, 400))
    const verb = random.pick(["slow", "echo", "queue", "parse"])
    return Buffer.concat(
        Array.from({ length: random.int(5, 40) }, (_, i) => publish(inbox + verb, payload, 1, from + i)),
    )
}
