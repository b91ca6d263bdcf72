/**
 * Asks the system to run this process before others: sound that waits for a processor is late.
 * Owns one call. A process without the right to it goes on as before; the caller may say so in its log.
 */

import { setPriority } from "node:os"

const soundPriority = -10

/** True when the system granted it. Called once by the main module of a process that carries sound. */
export function raisePriority(): boolean {
    try {
        setPriority(soundPriority)
        return true
    } catch {
        return false
    }
}
