/**
 * The data plane in the caller's thread: for tests, and wherever nothing has to be in time.
 */

import type { Underlay } from "../underlay/underlay.ts"
import { DataPlane } from "./data-plane.ts"
import type { DataHost } from "./host.ts"
import type { DataOptions, DataReport, DataRequest, ReportHandlers } from "./messages.ts"
import { dispatch } from "./reports.ts"
import type { DataStatistics, LinksStatistics } from "./statistics.ts"

export class LocalData implements DataHost {
    readonly plane: DataPlane
    readonly failed = new Promise<string>(() => {})
    /** Sees media that no session passes through. */
    onMedia: (peer: string, label: number, packet: Buffer) => void = () => {}
    readonly #handlers: ReportHandlers[] = []
    #closed: () => void = () => {}

    /** `underlay`: the one that the control side uses. */
    constructor(options: DataOptions, underlay?: Underlay) {
        this.plane = new DataPlane(options, {
            underlay,
            report: report => this.#report(report),
            onMedia: (peer, label, packet) => this.onMedia(peer, label, packet),
        })
    }

    on(handlers: ReportHandlers): void {
        this.#handlers.push(handlers)
    }

    post(request: DataRequest): void {
        this.plane.take(request)
    }

    get links(): LinksStatistics {
        return this.plane.linksStatistics()
    }

    get latest(): DataStatistics {
        return this.plane.statistics()
    }

    statistics(): Promise<DataStatistics> {
        return Promise.resolve(this.latest)
    }

    close(): Promise<void> {
        return new Promise(resolve => {
            this.#closed = resolve
            this.post({ type: "close" })
        })
    }

    #report(report: DataReport): void {
        if (report.type === "closed") this.#closed()
        else dispatch(this.#handlers, report)
    }
}
