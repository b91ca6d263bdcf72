/** What is reserved at this server, for whom, and what could be. */

import type { App } from "../../http/app.ts"
import type { AttemptView, LedgerView } from "../reservation/model.ts"
import type { RoutingServer } from "../server.ts"
import { refusals } from "./api.ts"
import * as schemas from "./schemas.ts"

export function reservationRoutes(app: App, server: RoutingServer): void {
    const tags = ["reservations"]
    app.get(
        "/v1/reservations",
        {
            schema: {
                operationId: "listReservations",
                summary: "The attempts that this server has a part in, and what is held here in all [claims 14-22]",
                tags,
                querystring: schemas.ReservationsQuery,
                response: { 200: schemas.Reservations, ...refusals },
            },
        },
        async request => {
            const attempts = server.reserver.attempts(request.query.sid)
            attempts.sort((a, b) => (a.sid === b.sid ? a.ep - b.ep : a.sid < b.sid ? -1 : 1))
            return { reservations: attempts.map(reservationOf), ledger: ledgerOf(server.reserver.holdings()) }
        },
    )
    app.post(
        "/v1/reservations/can",
        {
            // A session may have members at many servers.
            bodyLimit: 16_384,
            schema: {
                operationId: "canReserve",
                summary:
                    "Whether a tree from here to these servers fits now, as far as this server knows; nothing is held",
                tags,
                body: schemas.CanGiven,
                response: { 200: schemas.Can, ...refusals },
            },
        },
        async request => {
            const { destinations, kbps } = request.body
            const { tree, short } = server.reserver.dryRun(
                destinations.filter(id => id !== server.id),
                kbps,
            )
            return {
                fits: short.length === 0,
                tree: tree.map(({ rs, parent }) => ({ server: rs, parent })),
                short: short.map(({ rs, ...why }) => ({ server: rs, ...why })),
            }
        },
    )
}

function reservationOf({ sid, ep, source, role, state, upstream, children, bandwidthKbps, usageCount }: AttemptView) {
    const reservation: schemas.Reservation = {
        ...{ sid, epoch: ep, source, role, state, children, kbps: bandwidthKbps, usageCount },
        ...(upstream !== undefined && { upstream }),
    }
    return reservation
}

function ledgerOf({ links, dspUnits, dspHeld }: LedgerView) {
    return { links, dspUnits, dspHeld }
}
