/** Gives a report to everybody who handles its kind. */

import type { DataReport, ReportHandlers } from "./messages.ts"

export function dispatch(all: readonly ReportHandlers[], report: DataReport): void {
    for (const handlers of all) {
        // The table's type says that each handler takes the kind that it stands under.
        const handler = handlers[report.type] as ((report: DataReport) => void) | undefined
        handler?.(report)
    }
}
