/**
 * What media needs of the machine below it: time, and UDP. The process's own, or those of a virtual world in which hours pass
 * in minutes. Owns nothing.
 */

import { systemClock, type TickerClock } from "./ticker.ts"
import { openUdp } from "./udp.ts"

export interface MediaHost {
    clock: TickerClock
    openUdp: typeof openUdp
}

/** Node's own loop. */
export const systemHost: MediaHost = { clock: systemClock, openUdp }
