/**
 * Bearer tokens: JWTs signed with the key of the state folder (HS256). A token says who (`sub`), the role, and for a
 * member the one endpoint that it may act for. Nothing is kept: a token is valid until it expires or the key changes.
 */

import { jwtVerify, SignJWT } from "jose"

/** Each role may do what the ones before it may. */
export const roles = ["member", "operator", "admin"] as const
export type Role = (typeof roles)[number]

export interface Identity {
    subject: string
    role: Role
    /** The endpoint that a member acts for. */
    endpoint?: string
}

const issuer = "parley-group"
export const maxTokenDays = 3650

export class Tokens {
    private readonly key: Uint8Array

    constructor(key: Uint8Array) {
        this.key = key
    }

    async issue(identity: Identity, days: number, nowMs: number): Promise<{ token: string; expiresMs: number }> {
        const issued = Math.floor(nowMs / 1000)
        const expires = issued + days * 86400
        const { subject, role, endpoint } = identity
        const token = await new SignJWT(endpoint === undefined ? { role } : { role, ep: endpoint })
            .setProtectedHeader({ alg: "HS256", typ: "JWT" })
            .setSubject(subject)
            .setIssuer(issuer)
            .setIssuedAt(issued)
            .setExpirationTime(expires)
            .sign(this.key)
        return { token, expiresMs: expires * 1000 }
    }

    /** Who holds the token, or undefined when it is not one of ours or is over. */
    async verify(token: string, nowMs: number): Promise<Identity | undefined> {
        try {
            const options = { issuer, algorithms: ["HS256"], currentDate: new Date(nowMs) }
            const { payload } = await jwtVerify(token, this.key, { ...options, requiredClaims: ["sub", "exp"] })
            const role = roles.find(one => one === payload.role)
            if (!role || !payload.sub) return undefined
            const identity: Identity = { subject: payload.sub, role }
            return typeof payload.ep === "string" ? { ...identity, endpoint: payload.ep } : identity
        } catch {
            return undefined
        }
    }
}

export function mayAct(identity: Identity, role: Role): boolean {
    return roles.indexOf(identity.role) >= roles.indexOf(role)
}
