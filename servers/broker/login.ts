/**
 * Login to the broker as a named list of steps: the first that refuses decides the CONNACK code and the logged reason.
 *
 * Owns the verdict on one CONNECT. Never touches sockets, files or the clock. A wrong secret and an unknown id look the
 * same from outside (code 4), in time as well, so that nobody can find out which ids exist.
 */

import { limits } from "../../protocol/limits.ts"
import { type Rights, rightsOf } from "../../protocol/rights.ts"
import { isIdentifier, utf8Bytes } from "../../protocol/text.ts"
import { type CredentialEntry, hashSecret, newSecret, verifySecret } from "./credentials.ts"
import { brokerLimits } from "./limits.ts"
import { type PublishRequest, publishProblem } from "./publishing.ts"

/** CONNACK return codes of MQTT 3.1.1 that a login can end with (1, the protocol version, is aedes' own). */
export const connack = {
    identifierRejected: 2,
    serverUnavailable: 3,
    badUserNameOrSecret: 4,
    notAuthorized: 5,
} as const
export type ConnackCode = (typeof connack)[keyof typeof connack]

export interface LoginAttempt {
    clientId: string
    userName: string | undefined
    secret: Buffer | undefined
    keepaliveSeconds: number
    will: PublishRequest | undefined
}

export interface LoginContext {
    find(id: string): CredentialEntry | undefined
    /** Whether the address has failed too often. */
    heldOff: boolean
}

export type LoginStepName = "identifier" | "heldOff" | "userName" | "secret" | "keepalive" | "will"

export type LoginOutcome =
    | { ok: true; entry: CredentialEntry; rights: Rights }
    | { ok: false; step: LoginStepName; code: ConnackCode; what: string }

interface Refusal {
    code: ConnackCode
    what: string
}

interface LoginStep {
    name: LoginStepName
    check(attempt: LoginAttempt, context: LoginContext): Refusal | undefined
}

/** Hash of a secret that nobody has, so that an unknown id costs the same time as a known one. */
const nobodysHash = hashSecret(newSecret())

export const loginSteps: LoginStep[] = [
    {
        name: "identifier",
        check: attempt =>
            isIdentifier(attempt.clientId)
                ? undefined
                : { code: connack.identifierRejected, what: "the client id must be 1..24 of a-z, 0-9 and -" },
    },
    {
        name: "heldOff",
        check: (_, context) =>
            context.heldOff
                ? { code: connack.serverUnavailable, what: "too many failed logins from this address; try again later" }
                : undefined,
    },
    {
        // One name for both, so that nobody takes over the connection of another by its client id.
        name: "userName",
        check: attempt =>
            attempt.userName === attempt.clientId
                ? undefined
                : { code: connack.notAuthorized, what: "user name and client id must be the same" },
    },
    {
        name: "secret",
        check: (attempt, context) => {
            const entry = context.find(attempt.clientId)
            const short = attempt.secret !== undefined && attempt.secret.length <= limits.secretBytes
            const right = verifySecret(short ? attempt.secret!.toString("utf8") : "", entry?.hash ?? nobodysHash)
            if (right && entry) return undefined
            return {
                code: connack.badUserNameOrSecret,
                what: entry ? "wrong secret" : "nobody is enrolled under this id",
            }
        },
    },
    {
        // A party that does not promise to speak is found dead by nobody, and its Will never comes.
        name: "keepalive",
        check: attempt =>
            attempt.keepaliveSeconds >= 1 && attempt.keepaliveSeconds <= brokerLimits.keepaliveSecondsMax
                ? undefined
                : { code: connack.notAuthorized, what: `keepalive must be 1..${brokerLimits.keepaliveSecondsMax} s` },
    },
    {
        name: "will",
        check: (attempt, context) => {
            const entry = context.find(attempt.clientId)
            if (!attempt.will || !entry) return undefined
            const problem = publishProblem(rightsOf(entry.kind, entry.id), attempt.will)
            return problem ? { code: connack.notAuthorized, what: `Will: ${problem.what}` } : undefined
        },
    },
]

export function decideLogin(attempt: LoginAttempt, context: LoginContext): LoginOutcome {
    for (const step of loginSteps) {
        const refusal = step.check(attempt, context)
        if (refusal) return { ok: false, step: step.name, ...refusal }
    }
    const entry = context.find(attempt.clientId)!
    return { ok: true, entry, rights: rightsOf(entry.kind, entry.id) }
}

/** An id as it may stand in a log: what strangers send is shortened and made harmless. */
export function printable(text: string): string {
    const short = text.slice(0, 64).replace(/[^\x20-\x7e]/g, "?")
    return utf8Bytes(text) > 64 ? `${short}...` : short
}
