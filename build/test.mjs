/**
 * `npm test` after the set-up: types and style, then every test file, then the closing lines with the counts.
 *
 *     node build/test.mjs [--no-check] [FILTER...]     a filter is a part of a test file's path
 *
 * With CI=true a skipped test fails the run: a machine that cannot test something must say so loudly.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const fileTimeoutMs = 120_000

const options = process.argv.slice(2)
const filters = options.filter(option => !option.startsWith("--"))

if (!options.includes("--no-check")) {
    for (const [name, ...args] of [
        ["tsc", "--noEmit"],
        ["biome", "check", "."],
    ]) {
        const code = await run(join(root, "node_modules", ".bin", name), args)
        if (code !== 0) {
            process.stderr.write(`\n${name} ${args.join(" ")} failed; no test was run.\n`)
            process.exit(1)
        }
    }
}

const files = testFiles("test").filter(file => filters.length === 0 || filters.some(filter => file.includes(filter)))
if (files.length === 0) {
    process.stderr.write(`no test file matches ${filters.join(" ") || "test/**/*.test.ts"}\n`)
    process.exit(2)
}

/** Files that judge sound as it is heard: real time, so nothing else runs beside them. */
const alone = file =>
    /^test\/(first-call|system)\//.test(file) ||
    ["test/media/conference.test.ts", "test/media/jacdac.test.ts"].includes(file)
const rounds = [
    { files: files.filter(file => !alone(file)), concurrency: 2 },
    { files: files.filter(alone), concurrency: 1 },
].filter(round => round.files.length > 0)

const counts = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0, duration_ms: 0 }
let failed = false
for (const round of rounds) if (!(await runRound(round))) failed = true

process.stdout.write("\n")
for (const [name, count] of Object.entries(counts)) process.stdout.write(`# ${name} ${Math.round(count)}\n`)
if (counts.tests < 1) fail("the report holds no tests")
if (process.env.CI === "true" && counts.skipped > 0) fail(`${counts.skipped} skipped, and CI=true allows none`)
process.exit(failed ? 1 : 0)

/** Two reports: one for people on standard output, one in TAP to count from. */
async function runRound({ files, concurrency }) {
    const reports = mkdtempSync(join(tmpdir(), "parley-test-"))
    const tapFile = join(reports, "report.tap")
    const code = await run(process.execPath, [
        "--import",
        "tsx",
        "--test",
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${fileTimeoutMs}`,
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=tap",
        `--test-reporter-destination=${tapFile}`,
        ...files,
    ])
    const tap = readFileSync(tapFile, "utf8")
    rmSync(reports, { recursive: true, force: true })
    for (const name of Object.keys(counts))
        counts[name] += Number(new RegExp(`^# ${name} ([\\d.]+)$`, "m").exec(tap)?.[1] ?? 0)
    return code === 0
}

function fail(why) {
    process.stderr.write(`\ntest run failed: ${why}\n`)
    process.exit(1)
}

/** Paths of the test files under `folder`, relative to the repository, in order. */
function testFiles(folder) {
    return readdirSync(join(root, folder), { withFileTypes: true })
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .flatMap(entry => {
            const path = `${folder}/${entry.name}`
            if (entry.isDirectory()) return testFiles(path)
            return entry.name.endsWith(".test.ts") ? [path] : []
        })
}

/** The exit code of a command that speaks on our own standard output and error. */
function run(command, args) {
    return new Promise(resolve => {
        const child = spawn(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] })
        child.once("error", error => {
            process.stderr.write(`${command}: ${error.message}\n`)
            resolve(1)
        })
        child.once("close", status => resolve(status ?? 1))
    })
}
