/**
 * The keys of one leg: an SRTP master key and salt for each direction, and the text that carries them in the answer to a join.
 *
 * Owns the layout of that text. Never logs it and never keeps it.
 */

import { masterBytes } from "./srtp.ts"

export interface LegKeys {
    /** What the endpoint protects with. */
    toServer: Uint8Array
    /** What the server protects with. */
    toEndpoint: Uint8Array
}

export const legKeysBytes = 2 * masterBytes
/** In base64, without padding as 60 is a multiple of 3. */
export const legKeysTextBytes = (legKeysBytes / 3) * 4

/** `random`: `legKeysBytes` bytes that nobody can guess. */
export function writeLegKeys(random: Uint8Array): string {
    return Buffer.from(random.buffer, random.byteOffset, legKeysBytes).toString("base64")
}

/** Undefined when the text holds no keys. */
export function readLegKeys(text: string): LegKeys | undefined {
    if (text.length !== legKeysTextBytes) return undefined
    const bytes = Buffer.from(text, "base64")
    if (bytes.length !== legKeysBytes || bytes.toString("base64") !== text) return undefined
    // Copies: they go to other threads, and what lies beside them in Node's pool must not.
    return {
        toServer: Uint8Array.from(bytes.subarray(0, masterBytes)),
        toEndpoint: Uint8Array.from(bytes.subarray(masterBytes)),
    }
}
