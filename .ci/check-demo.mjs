/**
 * Reads the figures of `parley demo --json` from standard input and holds them against the limits of the first call.
 * Limits of function are hard. Times depend on how busy the machine is: over the limit they are reported, and fail
 * only at several times of it.
 */
import { readFileSync } from "node:fs"

const hard = [
    ["correlation", value => value >= 0.95, ">= 0.95"],
    ["packetsLost", value => value === 0, "= 0"],
    ["mutedLevelDb", value => value <= -70, "<= -70"],
]
const times = [
    ["registeredMs", 5000],
    ["joinMs", 500],
    ["mouthToEarMs", 150],
]
const busyMachineFactor = 3

const lines = readFileSync(0, "utf8").trim().split("\n")
const { figures } = JSON.parse(lines[lines.length - 1])
let bad = 0
for (const [name, holds, limit] of hard) report(name, figures[name], limit, holds(figures[name]) ? "ok" : "FAILED")
for (const [name, limit] of times) {
    const value = figures[name]
    const known = typeof value === "number"
    report(
        name,
        value,
        `<= ${limit}`,
        known && value <= limit ? "ok" : known && value <= limit * busyMachineFactor ? "SLOW" : "FAILED",
    )
}
process.exit(bad > 0 ? 1 : 0)

function report(name, value, limit, verdict) {
    if (verdict === "FAILED") bad++
    console.log(`${verdict.padEnd(6)} ${name} = ${value} (${limit})`)
}
