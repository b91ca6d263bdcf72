/**
 * Media paths of a routing server, with real UDP on loopback and real packets. Owns the list of its parts, each in a file of its
 * own that adds its figures.
 */
import { janusFigures } from "./media/janus.ts"
import { mixingFigures, type Setting } from "./media/mixing.ts"
import { measureTransit } from "./media/transit.ts"
import type { Bench } from "./run.ts"

type Measure = (setting: Setting) => Promise<Record<string, number>>

/** In this order; each measures for itself and tells its figures. */
const parts: Record<string, Measure> = {
    mixing: mixingFigures,
    janus: janusFigures,
    transit: measureTransit,
}

export const mediaBench: Bench = {
    summary: `media over UDP: ${Object.keys(parts).join(", ")}`,
    options: {
        only: `one of ${Object.keys(parts).join(", ")}`,
        udp: "batch (many datagrams in a call; the default) or dgram",
    },
    async run({ only, udp = "batch" }, progress) {
        if (udp !== "batch" && udp !== "dgram") throw new Error(`--udp ${udp}: batch or dgram is needed`)
        if (only !== undefined && !Object.hasOwn(parts, only)) throw new Error(`there is no part "${only}"`)
        const known: Record<string, number> = {}
        for (const [name, measure] of Object.entries(parts))
            if (only === undefined || only === name) Object.assign(known, await measure({ progress, udp, known }))
        return { figures: known, seed: null }
    },
}
