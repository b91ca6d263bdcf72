/**
 * The answering end of packet trains: notes when the packets of a train came and says so in one datagram.
 *
 * Owns the trains under way, which are few in all and for each address. Never opens a socket; time comes in, but for the
 * timer that ends a train whose last packet was lost.
 */

import { readTrainPacket, type TrainArrival, writeTrainAnswer } from "../../../protocol/train.ts"

const limits = { trains: 64, trainsPerAddress: 2, restMs: 100, trainsPerSecond: 20 }

interface Train {
    ip: string
    count: number
    tag: number
    firstUs: number
    arrivals: TrainArrival[]
    timer: NodeJS.Timeout
}

export class TrainAnswerer {
    readonly counters = { answered: 0, refused: 0 }
    readonly #trains = new Map<string, Train>()
    readonly #isListed: (ip: string) => boolean
    readonly #begun = new Map<string, number>()
    #secondStartMs = 0

    constructor(isListed: (ip: string) => boolean) {
        this.#isListed = isListed
    }

    /** False when the datagram is no packet of a train. `reply` is called at most once for a train. */
    take(datagram: Buffer, ip: string, port: number, nowUs: number, reply: (answer: Buffer) => void): boolean {
        const packet = readTrainPacket(datagram)
        if (!packet) return false
        const name = `${ip}:${port}:${packet.tag}`
        const train = this.#trains.get(name) ?? this.#begin(name, ip, packet.count, packet.tag, nowUs)
        if (!train || train.count !== packet.count || train.arrivals.length >= train.count) {
            this.counters.refused++
            return true
        }
        train.arrivals.push({ index: packet.index, afterUs: nowUs - train.firstUs })
        const finish = () => {
            if (!this.#trains.delete(name)) return
            clearTimeout(train.timer)
            this.counters.answered++
            reply(writeTrainAnswer(train))
        }
        clearTimeout(train.timer)
        if (packet.index === train.count - 1) finish()
        else train.timer = setTimeout(finish, limits.restMs)
        return true
    }

    close(): void {
        for (const train of this.#trains.values()) clearTimeout(train.timer)
        this.#trains.clear()
    }

    #begin(name: string, ip: string, count: number, tag: number, nowUs: number): Train | undefined {
        if (!this.#isListed(ip) || this.#trains.size >= limits.trains) return undefined
        let ofAddress = 0
        for (const train of this.#trains.values()) if (train.ip === ip) ofAddress++
        if (ofAddress >= limits.trainsPerAddress || !this.#isWithinRate(ip, nowUs / 1000)) return undefined
        const train: Train = { ip, count, tag, firstUs: nowUs, arrivals: [], timer: setTimeout(() => {}, 0) }
        this.#trains.set(name, train)
        return train
    }

    #isWithinRate(ip: string, nowMs: number): boolean {
        if (nowMs - this.#secondStartMs >= 1000) {
            this.#secondStartMs = nowMs
            this.#begun.clear()
        }
        const begun = (this.#begun.get(ip) ?? 0) + 1
        this.#begun.set(ip, begun)
        return begun <= limits.trainsPerSecond
    }
}
