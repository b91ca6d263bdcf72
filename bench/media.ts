/**
 * Media paths of a routing server, with real UDP on loopback and real packets. Owns the list of its parts, each in a file of its
 * own that adds its figures.
 */
import { janusFigures } from "./media/janus.ts"
import { mixingFigures } from "./media/mixing.ts"
import { measureTransit } from "./media/transit.ts"
import type { Bench } from "./run.ts"

type Measure = (progress: (text: string) => void, known: Record<string, number>) => Promise<Record<string, number>>

/** In this order; each measures for itself and tells its figures. `known` are those of the parts before it. */
const parts: Record<string, Measure> = {
    mixing: mixingFigures,
    janus: janusFigures,
    transit: measureTransit,
}

export const mediaBench: Bench = {
    summary: `media over UDP: ${Object.keys(parts).join(", ")}`,
    options: { only: `one of ${Object.keys(parts).join(", ")}` },
    async run({ only }, progress) {
        if (only !== undefined && !Object.hasOwn(parts, only)) throw new Error(`there is no part "${only}"`)
        const figures: Record<string, number> = {}
        for (const [name, measure] of Object.entries(parts))
            if (only === undefined || only === name) Object.assign(figures, await measure(progress, figures))
        return { figures, seed: null }
    },
}
