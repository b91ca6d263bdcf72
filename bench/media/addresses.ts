/** Loopback addresses of the benches of media: the routing server's, and the one that all endpoints share. */
import type { LegKeys } from "../../media/leg-keys.ts"
import { masterBytes } from "../../media/srtp.ts"

export const serverIp = "127.9.90.11"
export const endpointsIp = "127.9.90.1"

/** Keys of an endpoint's leg; nothing here is secret. */
export function keysOf(index: number): LegKeys {
    const seed = `leg ${index} of a bench`
    return { toServer: Buffer.alloc(masterBytes, `${seed} up`), toEndpoint: Buffer.alloc(masterBytes, `${seed} down`) }
}
