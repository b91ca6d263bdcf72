/**
 * jacdac-ts for those who speak to a board over a wire: the same instance and types as the simulator's hardware uses.
 * Owns nothing.
 */

export { type JDServiceServer, jacdac, type Packet } from "../sim/media-engine/jacdac.ts"
