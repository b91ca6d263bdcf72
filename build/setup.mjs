#!/usr/bin/env node
/**
 * Set-up of a checkout: what has to be there before anything else can run. Plain JavaScript that runs with nothing installed.
 *
 *     node build/setup.mjs [--no-firmware]
 *
 * Owns the order (dependencies, VM, kernels, firmware) and the decision what is out of date, by content and never by time alone.
 * Works without network when nothing changed. Two set-ups at a time, as of two terminals, wait for each other. Says what it does on
 * standard error; standard output stays empty.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    readlinkSync,
    rmSync,
    statSync,
    symlinkSync,
    writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const nodeFloor = 20

/** What the firmware is made of: a change in any of these compiles it again. */
const firmwareSources = [
    "src",
    "protocol",
    "boards",
    "services",
    "devicescript.json",
    "build/bundle.cjs",
    "build/compile.cjs",
    "build/compiler-patches.cjs",
    "package-lock.json",
]
const vmSources = ["build/vm-slice.ts", "package-lock.json"]
const kernelSources = ["media/kernels", "package-lock.json"]
/** Holds the number of the process that sets up at present. */
const lockPath = join(root, ".build/setup.lock")
const lockLookMs = 200
/** A file without a number in it for so long was left by a process that ended between two calls. */
const lockEmptyMs = 5000
let isLocked = false

if (Number(process.versions.node.split(".")[0]) < nodeFloor)
    fail(`Node ${nodeFloor} or newer is needed; this is ${process.version}. Install a newer Node.`)

makeBuildFolder()
installDependencies()
linkCommand()
whenChanged("vm", vmSources, [".build/vm.cjs", ".build/vm.wasm"], () => runTypeScript("build/vm-slice.ts", "the VM"))
whenChanged("kernels", kernelSources, [".build/kernels.wasm"], compileKernels)
if (!process.argv.includes("--no-firmware")) compileEntries()

function makeBuildFolder() {
    try {
        mkdirSync(join(root, ".build"), { recursive: true })
    } catch (error) {
        fail(
            `this checkout cannot be written (${error.message}). Make it yours, or clone it as the user that runs this.`,
        )
    }
}

function installDependencies() {
    const wanted = hashOf(["package-lock.json"])
    const isInstalled = () => existsSync(join(root, "node_modules/.package-lock.json"))
    const isCurrent = () => isInstalled() && readStamp("dependencies") === wanted
    if (isCurrent()) return
    takeLock()
    if (isCurrent()) return
    const installed = isInstalled()
    // Without a stamp an installation of somebody else is trusted when it names the same versions as the lock file.
    if (installed && matchesLock()) return writeStamp("dependencies", wanted)
    say(installed ? "package-lock.json has changed: npm ci" : "installing dependencies: npm ci")
    const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
        cwd: root,
        stdio: ["ignore", 2, 2],
        shell: process.platform === "win32",
    })
    if (npm.error) fail(`npm could not be started (${npm.error.message}). Install npm, it comes with Node.`)
    if (npm.status !== 0)
        fail("npm ci failed (see above). Is the package registry reachable? The first set-up needs it.")
    writeStamp("dependencies", wanted)
}

/** Whether node_modules holds what the lock file asks for, apart from optional packages of other platforms. */
function matchesLock() {
    const read = path => JSON.parse(readFileSync(join(root, path), "utf8")).packages
    try {
        const wanted = read("package-lock.json")
        const present = read("node_modules/.package-lock.json")
        return Object.entries(wanted).every(([path, entry]) => {
            if (path === "" || (entry.optional && !present[path])) return true
            return present[path]?.version === entry.version && existsSync(join(root, path))
        })
    } catch {
        return false
    }
}

/** `npx parley` finds its command here and never asks the registry for a package of that name. */
function linkCommand() {
    const link = join(root, "node_modules/.bin/parley")
    const target = "../../bin/parley.mjs"
    if (process.platform === "win32") {
        const shim = '@node "%~dp0\\..\\..\\bin\\parley.mjs" %*\r\n'
        if (!existsSync(`${link}.cmd`)) writeFileSync(`${link}.cmd`, shim)
        return
    }
    try {
        if (readlinkSync(link) === target) return
    } catch {
        // missing, or no link: made anew below
    }
    mkdirSync(dirname(link), { recursive: true })
    rmSync(link, { force: true })
    try {
        symlinkSync(target, link)
    } catch (error) {
        // Another set-up that runs at the same time has made it.
        if (error.code !== "EEXIST") throw error
    }
}

function compileEntries() {
    const manifest = JSON.parse(readFileSync(join(root, "devicescript.json"), "utf8"))
    const names = Object.keys(manifest.entries)
    const outputs = names.map(name => `.build/firmware/${name}.devs`)
    outputs.push(".build/services.json")
    whenChanged("firmware", firmwareSources, outputs, () => runTypeScript("build/firmware.ts", "the firmware"))
}

function runTypeScript(file, what) {
    runNode(["--import", "tsx", file], file, what)
}

/** The arithmetic of media is AssemblyScript. Its compiler is run as it comes: through tsx it would take five times as long. */
function compileKernels() {
    const compiler = "node_modules/assemblyscript/bin/asc.js"
    runNode([compiler, "--config", "media/kernels/asconfig.json"], "media/kernels", "the kernels of media")
}

function runNode(args, source, what) {
    say(`building ${what}`)
    const child = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] })
    if (child.status !== 0) fail(`${source} failed (see above)`)
}

function whenChanged(name, sources, outputs, build) {
    const hash = hashOf(sources)
    const isCurrent = () => readStamp(name) === hash && outputs.every(path => existsSync(join(root, path)))
    if (isCurrent()) return
    takeLock()
    if (isCurrent()) return
    build()
    writeStamp(name, hash)
}

/** From here on to the end of this process no other one sets up; waits for one that does. */
function takeLock() {
    let saidOf
    while (!isLocked) {
        try {
            writeFileSync(lockPath, `${process.pid}`, { flag: "wx" })
            isLocked = true
            process.on("exit", () => rmSync(lockPath, { force: true }))
        } catch (error) {
            if (error.code !== "EEXIST") throw error
            const holder = lockHolder()
            if (holder === undefined) {
                rmSync(lockPath, { force: true })
                continue
            }
            if (holder !== saidOf) say(`process ${holder} sets up already; this one goes on when it is done`)
            saidOf = holder
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockLookMs)
        }
    }
}

/** The process that sets up; undefined when there is none any more. */
function lockHolder() {
    try {
        const holder = Number(readFileSync(lockPath, "utf8"))
        if (!holder) return Date.now() - statSync(lockPath).mtimeMs < lockEmptyMs ? "?" : undefined
        process.kill(holder, 0)
        return holder
    } catch (error) {
        // It runs, as somebody else.
        return error.code === "EPERM" ? "?" : undefined
    }
}

function hashOf(paths) {
    const hash = createHash("sha256")
    for (const path of paths) addToHash(hash, path)
    return hash.digest("hex")
}

function addToHash(hash, path) {
    const absolute = join(root, path)
    let entries
    try {
        entries = readdirSync(absolute, { withFileTypes: true })
    } catch (error) {
        if (error.code === "ENOENT") return
        if (error.code !== "ENOTDIR") throw error
        hash.update(`${path}\n`)
        hash.update(readFileSync(absolute))
        return
    }
    for (const name of entries.map(entry => entry.name).sort()) addToHash(hash, `${path}/${name}`)
}

function readStamp(name) {
    try {
        return readFileSync(join(root, `.build/${name}.stamp`), "utf8")
    } catch {
        return ""
    }
}

function writeStamp(name, hash) {
    writeFileSync(join(root, `.build/${name}.stamp`), hash)
}

function say(text) {
    process.stderr.write(`setup: ${text}\n`)
}

function fail(text) {
    process.stderr.write(`setup: ${text}\n`)
    process.exit(1)
}
