/** The sound that passes through this server: by leg, by link of a session's tree, by label in transit. */

import type { App } from "../../http/app.ts"
import type { RoutingServer } from "../server.ts"
import { refusals } from "./api.ts"
import * as schemas from "./schemas.ts"

export function mediaRoutes(app: App, server: RoutingServer): void {
    app.get(
        "/v1/media",
        {
            schema: {
                operationId: "media",
                summary: "Legs, links of trees and sessions in transit, each with what it carried [claims 1, 4]",
                tags: ["media"],
                querystring: schemas.ReservationsQuery,
                response: { 200: schemas.Media, ...refusals },
            },
        },
        async request => mediaOf(server, request.query.sid),
    )
}

async function mediaOf(server: RoutingServer, sid: string | undefined): Promise<schemas.Media> {
    const isAsked = (one: { session: string }) => sid === undefined || one.session === sid
    const { media, transitEntries, counters, stray, recordings, udp, heapBytes } = await server.statistics()
    const { legs, links, dspUnitsUsed, datagrams, ticks, sessions } = media
    return {
        ...{ sessions, dspUnitsUsed, datagrams, ticks, udp, heapBytes },
        legs: legs.filter(isAsked),
        links: links.filter(isAsked),
        transit: transitEntries
            .map(({ sid: session, from, labelIn, out, packets, notSent }) => {
                return { session, from, labelIn, out, packets, notSent }
            })
            .filter(isAsked),
        recordings: recordings.filter(isAsked),
        linkDatagrams: Object.entries(counters).map(([peer, of]) => ({ peer, ...of })),
        strayDatagrams: stray,
    }
}
