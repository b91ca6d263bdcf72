/**
 * Asks the system to run this process before others: sound that waits for a processor is late.
 * Owns what is asked. A process without the right to it goes on as before; the caller may say so in its log.
 */

import { writeFileSync } from "node:fs"
import { setPriority } from "node:os"

const soundPriority = -10

/** True when the system granted it. Called once by the main module of a process that carries sound. */
export function raisePriority(): boolean {
    try {
        setPriority(soundPriority)
    } catch {
        return false
    }
    try {
        // Linux may share processors among sessions first (sched(7), autogroup): then a priority counts within its session only.
        writeFileSync("/proc/self/autogroup", `${soundPriority}`)
    } catch {
        // Another system, or one that does not.
    }
    return true
}
