/**
 * The firmware's bytecode: compiles entries of devicescript.json, and test programs, with the DeviceScript compiler.
 *
 * Owns that a failed compilation leaves no old bytecode behind, that compilations run one at a time (the compiler writes
 * into shared folders), and that unchanged sources are not compiled twice. Never changes a source.
 *
 *     node --import tsx build/firmware.ts [entry ...]      all entries when none is named
 */

import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import {
    copyFileSync,
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    statSync,
    utimesSync,
} from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { withLock } from "./lock.ts"
import { type Manifest, readManifest } from "./manifest.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const buildFolder = join(root, ".build")
const cacheFolder = join(buildFolder, "firmware/cache")

/** What shapes every program beside its own sources. */
const sharedSources = [
    "services",
    "boards",
    "build/bundle.cjs",
    "build/compile.cjs",
    "build/compiler-patches.cjs",
    "package-lock.json",
]
/** A program tells as its version the beginning of the hash of all that it is made of. */
const versionDigits = 16
const cachedProgramsMax = 60
const compileTimeoutMs = 120_000

export interface CompileProblem {
    file: string
    line: number
    column: number
    text: string
}

export type CompileResult =
    | { ok: true; devsFile: string; debugFile: string; bytes: number; cached: boolean }
    | { ok: false; problems: CompileProblem[] }

/**
 * Compiles the DeviceScript program `entryFile` to `outFile` (`.devs`; its debug information goes beside it as `.json`).
 * When it fails, `outFile` does not exist afterwards. Test programs may import from `src/`, `protocol/` and their own folder.
 */
export async function compileFirmware(entryFile: string, outFile: string): Promise<CompileResult> {
    const debugFile = `${outFile.replace(/\.devs$/, "")}.json`
    mkdirSync(dirname(outFile), { recursive: true })
    rmSync(outFile, { force: true })
    rmSync(debugFile, { force: true })
    if (!existsSync(entryFile))
        return { ok: false, problems: [{ file: relative(root, entryFile), line: 0, column: 0, text: "no such file" }] }

    const key = sourceHash([...importedBy(entryFile), ...sharedSources])
    const cached = join(cacheFolder, key)
    let hit = existsSync(join(cached, "program.devs"))
    if (!hit) {
        const result = await withLock(join(buildFolder, "compile.lock"), async () => {
            hit = existsSync(join(cached, "program.devs"))
            return hit ? undefined : compileInto(entryFile, cached)
        })
        if (result) return { ok: false, problems: result }
    }
    const now = new Date()
    utimesSync(cached, now, now)
    place(join(cached, "program.devs"), outFile)
    place(join(cached, "program.json"), debugFile)
    place(join(cached, "services.json"), join(buildFolder, "services.json"))
    return { ok: true, devsFile: outFile, debugFile, bytes: statSync(outFile).size, cached: hit }
}

/** Where the bytecode of an entry of devicescript.json lies. */
export function firmwareFile(name: string): string {
    return join(buildFolder, "firmware", `${name}.devs`)
}

/** Compiles one entry of devicescript.json. */
export async function compileEntry(manifest: Manifest, name: string): Promise<CompileResult> {
    const entry = manifest.entries[name]
    if (!entry) {
        const text = `no entry "${name}"; there are ${Object.keys(manifest.entries).join(", ")}`
        return { ok: false, problems: [{ file: "devicescript.json", line: 0, column: 0, text }] }
    }
    return compileFirmware(join(root, entry.entry), firmwareFile(name))
}

export function describeProblems(problems: CompileProblem[]): string {
    return problems
        .map(problem => `${problem.file}${problem.line ? `:${problem.line}:${problem.column}` : ""} ${problem.text}`)
        .join("\n")
}

/** Compiles into a fresh folder and moves it to `target` only when it is complete. Undefined when it worked. */
async function compileInto(entryFile: string, target: string): Promise<CompileProblem[] | undefined> {
    const work = join(buildFolder, "firmware", `work-${process.pid}`)
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    try {
        const answer = await runCompiler(entryFile, work, basename(target).slice(0, versionDigits))
        if (!answer.ok) return answer.problems
        mkdirSync(cacheFolder, { recursive: true })
        rmSync(target, { recursive: true, force: true })
        renameSync(work, target)
        prune()
        return undefined
    } finally {
        rmSync(work, { recursive: true, force: true })
    }
}

function runCompiler(
    entryFile: string,
    folder: string,
    version: string,
): Promise<{ ok: boolean; problems: CompileProblem[] }> {
    return new Promise(done => {
        const child = spawn(process.execPath, [join(root, "build/compile.cjs"), entryFile, folder, version], {
            cwd: root,
            stdio: ["ignore", "pipe", "pipe"],
            timeout: compileTimeoutMs,
        })
        let out = ""
        let err = ""
        child.stdout.on("data", chunk => {
            out += chunk
        })
        child.stderr.on("data", chunk => {
            err = (err + chunk).slice(-4000)
        })
        child.on("close", (code, signal) => {
            const line = out.trim().split("\n").at(-1) ?? ""
            if (code === 0 && line.startsWith("{")) return done(JSON.parse(line))
            const text = signal
                ? `the compiler was ended by ${signal}`
                : `the compiler stopped (exit ${code}): ${err.trim()}`
            done({ ok: false, problems: [{ file: relative(root, entryFile), line: 0, column: 0, text }] })
        })
    })
}

/** The entry and every file of the project that it imports, directly or not. Packages are fixed by the lock file. */
function importedBy(entryFile: string): string[] {
    const found = new Set<string>()
    const add = (file: string): void => {
        if (found.has(file) || !existsSync(file)) return
        found.add(file)
        for (const [, specifier] of readFileSync(file, "utf8").matchAll(
            /(?:from|import)\s*["'](\.{1,2}\/[^"']+)["']/g,
        )) {
            const path = resolve(dirname(file), specifier)
            for (const candidate of [`${path}.ts`, join(path, "index.ts"), path]) add(candidate)
        }
    }
    add(resolve(entryFile))
    return [...found]
        .filter(file => file.endsWith(".ts"))
        .map(file => relative(root, file))
        .sort()
}

function sourceHash(paths: string[]): string {
    const hash = createHash("sha256")
    const add = (path: string): void => {
        const absolute = join(root, path)
        if (!existsSync(absolute)) return
        if (statSync(absolute).isDirectory()) {
            for (const name of readdirSync(absolute).sort()) add(join(path, name))
        } else {
            hash.update(`${path}\n`).update(readFileSync(absolute))
        }
    }
    paths.forEach(add)
    return hash.digest("hex").slice(0, 32)
}

function place(from: string, to: string): void {
    const temporary = `${to}.${process.pid}.tmp`
    copyFileSync(from, temporary)
    renameSync(temporary, to)
}

/** Keeps the programs that were used last. */
function prune(): void {
    const byAge = readdirSync(cacheFolder)
        .map(name => ({ path: join(cacheFolder, name), usedMs: statSync(join(cacheFolder, name)).mtimeMs }))
        .sort((a, b) => b.usedMs - a.usedMs)
    for (const { path } of byAge.slice(cachedProgramsMax)) rmSync(path, { recursive: true, force: true })
}

async function main(): Promise<void> {
    const manifest = readManifest()
    const wanted = process.argv.slice(2)
    for (const name of wanted.length > 0 ? wanted : Object.keys(manifest.entries)) {
        const result = await compileEntry(manifest, name)
        if (result.ok) {
            process.stderr.write(`firmware: ${name}, ${result.bytes} bytes of bytecode\n`)
        } else {
            process.stderr.write(`firmware: ${name} does not compile\n${describeProblems(result.problems)}\n`)
            process.exitCode = 1
        }
    }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main()
