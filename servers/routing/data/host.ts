/**
 * Where the data plane runs, as the control side sees it: it takes requests, in order, and reports come back. Types only.
 */

import type { DataRequest, ReportHandlers } from "./messages.ts"
import type { DataStatistics, LinksStatistics } from "./statistics.ts"

export interface DataHost {
    /** Besides those that are there already. */
    on(handlers: ReportHandlers): void
    post(request: DataRequest): void
    /** As it was told last. */
    readonly links: LinksStatistics
    readonly latest: DataStatistics
    /** As it is now. */
    statistics(): Promise<DataStatistics>
    /** Fulfilled, with the reason, when the data plane is gone without having been asked to close. */
    readonly failed: Promise<string>
    close(): Promise<void>
}
