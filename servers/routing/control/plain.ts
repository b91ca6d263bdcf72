/** Standard RTP senders and receivers as legs of a session, by an operator's word. */

import { Type } from "typebox"
import { codecs } from "../../../media/codecs.ts"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { RoutingServer } from "../server.ts"
import { refusals } from "./api.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

const path = "/v1/sessions/:sid/plain/:name"

export function plainRoutes(app: App, server: RoutingServer): void {
    const tags = ["media"]
    app.put(
        path,
        {
            schema: {
                operationId: "putPlainLeg",
                summary: "Let a standard RTP sender or receiver into a session that has members here",
                tags,
                params: schemas.PlainParams,
                body: schemas.PlainGiven,
                response: { 200: schemas.Plain, ...refusals },
            },
        },
        async (request, reply) => {
            const { sid, name } = request.params
            const { codec = "pcmu", to } = request.body
            const { payloadType = codecs[codec].payloadType } = request.body
            const from = { ip: request.body.from.ip, port: request.body.from.port ?? 0, payloadType }
            const refusal = server.addPlainLeg({ sid, name, codec, from, ...(to && { to }) })
            if (refusal) return sendProblem(reply, problem(refusal.reason, refusal.what, refusal.who))
            request.log.warn({ sid, name, codec, from, to }, "plain leg admitted")
            return { name, server: server.id, ip: server.ip, port: server.mediaPort, codec, payloadType }
        },
    )
    app.delete(
        path,
        {
            schema: {
                operationId: "deletePlainLeg",
                summary: "Take it out",
                tags,
                params: schemas.PlainParams,
                response: { 204: Type.Null(), ...refusals },
            },
        },
        async (request, reply) => {
            const { sid, name } = request.params
            if (!server.removePlainLeg(sid, name))
                return sendProblem(reply, problem("not-found", `there is no plain leg "${name}" of ${sid} here`, "you"))
            request.log.warn({ sid, name }, "plain leg taken out")
            return reply.code(204).send(null)
        },
    )
}
