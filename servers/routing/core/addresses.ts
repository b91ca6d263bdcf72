/** Addresses that sound may be sent to. */

import { ipv4ToInt } from "../../../protocol/text.ts"

/** One host's: neither "this network" nor multicast nor reserved. */
export function isUnicast(ip: string): boolean {
    const value = ipv4ToInt(ip)
    return value >= 0x01000000 && value < 0xe0000000
}
