/** What the routes of the control API have in common. */

import { Problem } from "./problems.ts"

declare module "fastify" {
    interface FastifyContextConfig {
        /** Answers without a token. */
        open?: boolean
    }
}

/** In the schema of every route that can refuse. */
export const refusals = {
    "4xx": { description: "Refused", content: { "application/problem+json": { schema: Problem } } },
    "5xx": { description: "Failed", content: { "application/problem+json": { schema: Problem } } },
}
