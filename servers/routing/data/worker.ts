/**
 * The thread of a data plane. Owns nothing: an error that nobody foresaw ends it, and its owner with it.
 */

import { parentPort, workerData } from "node:worker_threads"
import { BatchLoop } from "../../../media/batch-udp/loop.ts"
import { DataPlane } from "./data-plane.ts"
import type { DataOptions, DataReport, DataRequest } from "./messages.ts"

/** What the thread is started with. */
export interface WorkerStart {
    options: DataOptions
    /** Of a `Wake`: this thread may rest in the system. */
    wakeFd?: number
}

const port = parentPort
if (!port) throw new Error("this is the entry of a thread")

const { options, wakeFd } = workerData as WorkerStart
// Without a wake, what control says would wait for the end of a rest.
const loop = wakeFd === undefined ? undefined : BatchLoop.open(wakeFd)
// An error may end the thread before it is asked to close.
process.once("exit", () => loop?.close())
const plane = new DataPlane(options, {
    host: loop,
    report: (report: DataReport) => {
        port.postMessage(report)
        // Nothing is left that would keep the thread.
        if (report.type === "closed") port.close()
    },
})
port.on("message", (request: DataRequest) => plane.take(request))
