/**
 * Who holds a TCP port: so that "address in use" names the program to look at. Linux only; elsewhere the answer is none.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs"

export interface PortHolder {
    pid: number
    /** The command line, shortened. */
    command: string
}

/** The process that listens on `port` of `host` or of all addresses, as far as this user may see it. */
export function portHolder(host: string, port: number): PortHolder | undefined {
    try {
        const inodes = listeningInodes(host, port)
        return inodes.size > 0 ? holderOf(inodes) : undefined
    } catch {
        return undefined
    }
}

function listeningInodes(host: string, port: number): Set<string> {
    const wanted = port.toString(16).toUpperCase().padStart(4, "0")
    // The kernel prints IPv4 addresses as little-endian words.
    const bytes = host.split(".").map(part => Number(part).toString(16).toUpperCase().padStart(2, "0"))
    const addresses = new Set([bytes.reverse().join(""), "00000000", "0".repeat(32)])
    const inodes = new Set<string>()
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
        for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
            const fields = line.trim().split(/\s+/)
            if (fields.length < 10 || fields[3] !== "0A") continue
            const [address, heldPort] = fields[1].split(":")
            if (heldPort === wanted && addresses.has(address)) inodes.add(`socket:[${fields[9]}]`)
        }
    }
    return inodes
}

function holderOf(inodes: Set<string>): PortHolder | undefined {
    for (const name of readdirSync("/proc")) {
        if (!/^[0-9]+$/.test(name)) continue
        try {
            for (const file of readdirSync(`/proc/${name}/fd`)) {
                if (!inodes.has(readlinkSync(`/proc/${name}/fd/${file}`))) continue
                const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").filter(Boolean)
                return { pid: Number(name), command: words.join(" ").slice(0, 80) }
            }
        } catch {
            // Gone meanwhile, or another user's.
        }
    }
    return undefined
}
