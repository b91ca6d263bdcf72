/**
 * One compilation by the DeviceScript compiler, in a process of its own:
 *
 *     node build/compile.cjs <entry.ts> <output folder> [<version>]
 *
 * Writes `program.devs`, `program.json` (debug information) and `services.json` (compiled service specs) into the folder,
 * and one JSON line `{"ok", "problems": [{file, line, column, text}]}` on standard output.
 *
 * Uses the compiler inside the CLI's bundle directly, because the command itself leaves the previous bytecode behind when it
 * fails, and ignores its output folder for some files. `compiler-patches.cjs` says what is changed in it.
 */
"use strict"

const fs = require("node:fs")
const path = require("node:path")
const { loadBundle } = require("./bundle.cjs")

const root = path.join(__dirname, "..")

async function main() {
    const [entry, outFolder, version] = process.argv.slice(2)
    if (!entry || !outFolder) throw new Error("usage: node build/compile.cjs <entry.ts> <output folder> [<version>]")
    process.chdir(root)
    // The compiler reports on the console; standard output belongs to the answer.
    const answer = process.stdout.write.bind(process.stdout)
    process.stdout.write = process.stderr.write.bind(process.stderr)
    console.log = console.info = console.debug = () => {}

    globalThis.programVersion = version
    const { compileFile } = loadBundle({ compileFile: "compileFile" })
    // It resolves the folder against the working directory, an absolute one included.
    const result = await compileFile(path.relative(root, path.resolve(entry)), {
        outDir: path.relative(root, path.resolve(outFolder)),
        ignoreMissingConfig: true,
        quiet: true,
    })
    const problems = result.diagnostics.filter(isError).map(problemOf)
    if (result.success && result.binary && problems.length === 0) {
        fs.writeFileSync(path.join(outFolder, "program.devs"), result.binary)
        fs.writeFileSync(path.join(outFolder, "program.json"), JSON.stringify(result.dbg))
        fs.copyFileSync(path.join(root, ".devicescript/services.json"), path.join(outFolder, "services.json"))
        answer(`${JSON.stringify({ ok: true, problems: [] })}\n`)
    } else {
        if (problems.length === 0)
            problems.push({ file: entry, line: 0, column: 0, text: "the compiler gave no reason" })
        answer(`${JSON.stringify({ ok: false, problems })}\n`)
    }
}

/** Categories of the TypeScript compiler: 0 warning, 1 error. */
function isError(diagnostic) {
    return diagnostic.category === 1
}

function problemOf(diagnostic) {
    return {
        file: path.relative(root, diagnostic.filename || diagnostic.file?.fileName || ""),
        line: diagnostic.line || 0,
        column: diagnostic.column || 0,
        text: flatten(diagnostic.messageText),
    }
}

function flatten(message) {
    if (typeof message === "string") return message
    return [message.messageText, ...(message.next || []).map(flatten)].join(": ")
}

main().catch(error => {
    process.stderr.write(`${error?.stack ?? error}\n`)
    process.exitCode = 1
})
