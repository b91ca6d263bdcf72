/**
 * The thread of a data plane. Owns nothing: an error that nobody foresaw ends it, and its owner with it.
 */

import { parentPort, workerData } from "node:worker_threads"
import { DataPlane } from "./data-plane.ts"
import type { DataOptions, DataReport, DataRequest } from "./messages.ts"

const port = parentPort
if (!port) throw new Error("this is the entry of a thread")

const plane = new DataPlane(workerData as DataOptions, {
    report: (report: DataReport) => {
        port.postMessage(report)
        // Nothing is left that would keep the thread.
        if (report.type === "closed") port.close()
    },
})
port.on("message", (request: DataRequest) => plane.take(request))
