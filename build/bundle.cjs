/**
 * What lies inside the CLI's bundle of DeviceScript and is exported by no package, as a module: the compiler, and what
 * knows chips, boards and their configuration partition (DCFG).
 */
"use strict"

const fs = require("node:fs")
const Module = require("node:module")
const path = require("node:path")
const { patchCompiler } = require("./compiler-patches.cjs")

const bundle = path.join(__dirname, "../node_modules/@devicescript/cli/built/devicescript-cli.cjs")

/** The named parts, which are expressions in the bundle's outermost scope. Throws when the bundle is another one. */
exports.loadBundle = parts => {
    const source = fs.readFileSync(bundle, "utf8")
    if (!source.includes("async function compileFile("))
        throw new Error(
            "the DeviceScript bundle is not the one this project knows: is @devicescript/cli 2.16.4 installed?",
        )
    const loaded = new Module(bundle, null)
    loaded.filename = bundle
    loaded.paths = Module._nodeModulePaths(path.dirname(bundle))
    const text = patchCompiler(source.replace(/^#!.*/, ""))
    const wanted = Object.entries(parts).map(([name, expression]) => `module.exports.${name} = ${expression};`)
    loaded._compile(`${text}\n${wanted.join("\n")}`, bundle)
    return loaded.exports
}
