/** The log of a server's process: JSON lines on standard error, from the level in `PARLEY_LOG_LEVEL` on (default: info). */

import { destination, type Logger, type LoggerOptions, pino } from "pino"

export function openLog(options: LoggerOptions): Logger {
    const wanted = process.env.PARLEY_LOG_LEVEL || "info"
    const isKnown = wanted === "silent" || wanted in pino.levels.values
    const log = pino({ ...options, level: isKnown ? wanted : "info" }, destination({ fd: 2, sync: true }))
    if (!isKnown) {
        const levels = [...Object.keys(pino.levels.values), "silent"].join(", ")
        log.warn(`PARLEY_LOG_LEVEL: one of ${levels} is needed, not "${wanted}"; info is used`)
    }
    return log
}
