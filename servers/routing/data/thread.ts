/**
 * The data plane in a thread of its own, so that TLS, MQTT, route computation and HTTP never delay a tick or a packet.
 *
 * Owns the thread. Never restarts it: legs, links and keys are gone with it, so that whoever uses it must begin anew as a
 * whole (`failed`).
 */

import { Worker } from "node:worker_threads"
import { Wake } from "../../../media/batch-udp/wake.ts"
import type { DataHost } from "./host.ts"
import type { DataOptions, DataReport, DataRequest, ReportHandlers } from "./messages.ts"
import { dispatch } from "./reports.ts"
import { type DataStatistics, type LinksStatistics, noLinks, noStatistics } from "./statistics.ts"
import type { WorkerStart } from "./worker.ts"

/** A thread that does not answer is ended after this. */
const closeWithinMs = 2000

export class ThreadData implements DataHost {
    readonly failed: Promise<string>
    links: LinksStatistics = noLinks()
    latest: DataStatistics = noStatistics()
    readonly #worker: Worker
    readonly #wake: Wake | undefined
    readonly #handlers: ReportHandlers[] = []
    readonly #asked = new Map<number, (statistics: DataStatistics) => void>()
    #number = 0
    #closing: (() => void) | undefined
    #hasEnded = false

    constructor(options: DataOptions) {
        this.#wake = options.udp === "dgram" ? undefined : Wake.open()
        const workerData: WorkerStart = { options, wakeFd: this.#wake?.fd }
        // What this process was told to load is for this process; the entry loads what the thread needs.
        this.#worker = new Worker(new URL("./entry.mjs", import.meta.url), { workerData, execArgv: [] })
        this.#worker.on("message", (report: DataReport) => this.#report(report))
        this.failed = new Promise(resolve => {
            let reason: string | undefined
            this.#worker.on("error", error => {
                reason ??= error instanceof Error ? (error.stack ?? error.message) : String(error)
            })
            this.#worker.on("exit", code => {
                this.#hasEnded = true
                this.#wake?.close()
                this.#release()
                if (this.#closing) this.#closing()
                else resolve(reason ?? `the data plane's thread has ended with ${code}`)
            })
        })
    }

    on(handlers: ReportHandlers): void {
        this.#handlers.push(handlers)
    }

    post(request: DataRequest): void {
        this.#worker.postMessage(request)
        this.#wake?.signal()
    }

    statistics(): Promise<DataStatistics> {
        if (this.#hasEnded) return Promise.resolve(this.latest)
        const number = ++this.#number
        return new Promise(resolve => {
            this.#asked.set(number, resolve)
            this.post({ type: "statistics", number })
        })
    }

    close(): Promise<void> {
        if (this.#hasEnded) return Promise.resolve()
        return new Promise(resolve => {
            const timer = setTimeout(() => void this.#worker.terminate(), closeWithinMs)
            this.#closing = () => {
                clearTimeout(timer)
                resolve()
            }
            this.post({ type: "close" })
        })
    }

    #report(report: DataReport): void {
        switch (report.type) {
            case "links":
                this.links = report.statistics
                return
            case "statistics":
                this.links = report.statistics
                this.latest = report.statistics
                this.#asked.get(report.number)?.(report.statistics)
                this.#asked.delete(report.number)
                return
            default:
                dispatch(this.#handlers, report)
        }
    }

    /** Whoever waits for statistics of a thread that is gone gets the last ones. */
    #release(): void {
        for (const resolve of this.#asked.values()) resolve(this.latest)
        this.#asked.clear()
    }
}
