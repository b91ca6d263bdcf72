/**
 * The key and certificate that a routing server shows to its neighbours: made on the first start, kept in the state
 * folder in one file that only the owner reads.
 *
 * Never replaces a file that it cannot read: a new key is a new identity, and that is the operator's decision.
 */

import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { writeWhole } from "../state-folder.ts"
import { fingerprintOf, selfSignedCertificate } from "./certificate.ts"

export interface Identity {
    keyPem: string
    certificatePem: string
    /** SHA-256 of the certificate (DER), 64 hex digits. */
    fingerprint: string
}

export type IdentityResult = { ok: true; identity: Identity; created: boolean } | { ok: false; what: string }

const fileName = "link-identity.pem"

/** A new identity, kept nowhere. */
export function createIdentity(id: string, nowMs: number): Identity {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const certificate = selfSignedCertificate({ commonName: id, privateKey, nowMs, serial: randomBytes(16) })
    const base64 = certificate.toString("base64").replace(/(.{64})(?=.)/g, "$1\n")
    return {
        keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
        certificatePem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
        fingerprint: fingerprintOf(certificate),
    }
}

export function loadIdentity(folder: string, id: string, nowMs: number): IdentityResult {
    const path = join(folder, fileName)
    let kept: string
    try {
        kept = readFileSync(path, "utf8")
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT")
            return { ok: false, what: `${path} cannot be read: ${(error as Error).message}` }
        const identity = createIdentity(id, nowMs)
        const written = writeWhole(path, identity.keyPem + identity.certificatePem)
        return written.ok ? { ok: true, identity, created: true } : written
    }
    const parsed = parse(kept)
    if (!parsed)
        return { ok: false, what: `${path} is not a key with its certificate; remove it to start as a new identity` }
    return { ok: true, identity: parsed, created: false }
}

function parse(text: string): Identity | undefined {
    const split = text.indexOf("-----BEGIN CERTIFICATE-----")
    if (split < 0) return undefined
    const keyPem = text.slice(0, split)
    const certificatePem = text.slice(split)
    try {
        const certificate = new X509Certificate(certificatePem)
        const key = createPrivateKey(keyPem)
        if (!certificate.checkPrivateKey(key)) return undefined
        return { keyPem, certificatePem, fingerprint: fingerprintOf(certificate.raw) }
    } catch {
        return undefined
    }
}
