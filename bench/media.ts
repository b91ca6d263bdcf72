/**
 * Media paths of a routing server, with real UDP on loopback and real packets. Owns the list of its parts, each in a file of its
 * own that adds its figures.
 */
import { mixingFigures } from "./media/mixing.ts"
import { measureTransit } from "./media/transit.ts"
import type { Bench } from "./run.ts"

/** In this order; each measures for itself and tells its figures. */
const parts: Record<string, (progress: (text: string) => void) => Promise<Record<string, number>>> = {
    mixing: mixingFigures,
    transit: measureTransit,
}

export const mediaBench: Bench = {
    summary: `media over UDP: ${Object.keys(parts).join(", ")}`,
    options: { only: `one of ${Object.keys(parts).join(", ")}` },
    async run({ only }, progress) {
        if (only !== undefined && !Object.hasOwn(parts, only)) throw new Error(`there is no part "${only}"`)
        const figures: Record<string, number> = {}
        for (const [name, measure] of Object.entries(parts))
            if (only === undefined || only === name) Object.assign(figures, await measure(progress))
        return { figures, seed: null }
    },
}
