/**
 * What media needs of the machine below it: time, and UDP. The process's own, or those of a virtual world in which hours pass
 * in minutes. Owns nothing.
 */

import { systemClock, type TickerClock } from "./ticker.ts"
import { openUdp } from "./udp.ts"

export interface MediaHost {
    clock: TickerClock
    openUdp: typeof openUdp
    /** What is read from a socket at most before others have their turn: fewer mean that nothing waits in it. */
    datagramsPerTurn: number
    /** Node's own timers are to be exact from now on, or need not be. Absent: they always are. */
    mindTimers?(on: boolean): void
}

/** Node's own loop: libuv reads 32 datagrams in a turn. */
export const systemHost: MediaHost = { clock: systemClock, openUdp, datagramsPerTurn: 32 }
