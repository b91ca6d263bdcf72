/**
 * jacdac-ts with its types: the package's `exports` do not name them, so the compiler finds them by their place.
 * Owns nothing. Always the ES module instance, the same one that `import "jacdac-ts"` gives.
 */

import type * as Jacdac from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"

export type { JDServiceServer, Packet } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"

const specifier: string = "jacdac-ts"
export const jacdac = (await import(specifier)) as typeof Jacdac
