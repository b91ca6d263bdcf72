import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { after, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { parley, temporaryFolder } from "./parley.ts"

const folder = temporaryFolder()
after(() => folder.remove())

const run = (...words: string[]) => parley(words, folder.path)

describe("a wrong command line", () => {
    test("ends with 2 and says what is wrong, who can fix it and what to type next", async () => {
        const { code, err, out } = await run("bord")
        assert.equal(code, 2)
        assert.equal(out, "")
        assert.match(err, /unknown command 'bord' \(Did you mean board\?\)/)
        assert.match(err, /who can fix it: you/)
        assert.match(err, /next: parley --help/)
        const wait = await run("board", "list", "--wait", "soon")
        assert.equal(wait.code, 2)
        assert.match(wait.err, /next: parley board list --help/)
    })

    test("takes the port of a device before the verb or behind it, and behind it counts", async () => {
        for (const words of [
            ["--port", "/no-port", "status"],
            ["--port", "/another", "config", "get", "--port", "/no-port"],
        ]) {
            const { code, err } = await run("device", ...words)
            assert.equal(code, 3)
            assert.match(err, /no serial port \/no-port:/)
        }
    })

    test("names the command as it has to be typed where npm has started it", async () => {
        const { err } = await parley(["board", "list"], folder.path, { npm_command: "exec" })
        assert.match(err, /next: npx parley up/)
    })

    test("is told by the exit code of a part too, and its help is no error", async () => {
        for (const part of ["broker", "group", "routing", "sim"]) {
            const wrong = await run("serve", part, "--bogus")
            assert.equal(wrong.code, 2, `${part}: ${wrong.err}`)
            const help = await run("serve", part, "--help")
            assert.equal(help.code, 0, `${part}: ${help.err}`)
            assert.match(help.out, new RegExp(`parley serve ${part}`))
        }
    })

    test("takes only times that people write, and lengths that can be booked", async () => {
        const words = ["session", "book", "--by", "board-a", "--with", "board-b"]
        for (const start of ["1", "tomorrow", "2030-13-45", "14:00"])
            assert.match((await run(...words, "--start", start)).err, /is no time/, start)
        assert.match((await run(...words, "--minutes", "0")).err, /from 5 to 1440/)
    })

    test("with a state folder that cannot be one says so, and nothing of our own is blamed", async () => {
        const { code, err } = await run("up", "--state", process.execPath, "--json")
        assert.equal(code, 1)
        const { error } = JSON.parse(err)
        assert.deepEqual([error.code, error.who], ["state-unusable", "you"])
    })

    test("is told by one JSON object on standard error with --json", async () => {
        for (const words of [
            ["board", "list", "--nope"],
            ["board", "press", "board-a", "door"],
            ["board", "press", "board-a"],
            ["session", "book", "--by", "board-a"],
            ["session", "list", "--with-state", "great"],
            ["up", "--boards", "0"],
            ["demo", "--wav", "/nowhere.wav"],
            ["serve", "coffee"],
        ]) {
            const { code, err, out } = await run(...words, "--json")
            assert.equal(code, 2, words.join(" "))
            assert.equal(out, "", words.join(" "))
            const lines = err
                .trim()
                .split("\n")
                .filter(line => !line.startsWith("setup:"))
            const { error } = JSON.parse(lines.at(-1) ?? "")
            assert.equal(error.exit, "usage", words.join(" "))
            assert.ok(error.what.length > 0)
        }
    })
})

describe("without a system", () => {
    test("every command that needs one ends with 3 and names `parley up`", async () => {
        const elsewhere = [
            ["session", "list"],
            ["endpoint", "list"],
            ["leg", "list", "x"],
            ["reservation", "list"],
        ]
        for (const words of [...elsewhere, ["board", "list"], ["link", "list"], ["neighbours"], ["stop"], ["doctor"]]) {
            const { code, err } = await run(...words)
            assert.equal(code, 3, words.join(" "))
            assert.match(err, /no system runs in /)
            assert.match(err, /next: parley up/)
        }
    })

    test("a group server elsewhere that does not answer ends with 3 as well", async () => {
        const words = ["endpoint", "list", "--json", "--group", "http://127.77.77.77:9", "--token"]
        const missing = await run(...words, "no.token")
        assert.equal(missing.code, 1)
        assert.equal(JSON.parse(missing.err).error.code, "no-token")
        const silent = await run(...words, fileURLToPath(import.meta.url))
        assert.equal(silent.code, 3)
        assert.equal(JSON.parse(silent.err).error.code, "unreachable")
    })
})

test("no colour reaches a pipe, and help goes to standard output", async () => {
    const { out, err, code } = await run("board", "--help")
    assert.equal(code, 0)
    assert.match(out, /press .*<board> <button>/)
    assert.ok(!(out + err).includes("\u001b"))
})

test("bash completes nouns, verbs and options from what the program really has", async () => {
    const { out, code } = await run("completion", "bash")
    assert.equal(code, 0)
    const complete = (...words: string[]) =>
        execFileSync(
            "bash",
            [
                "-c",
                `${out}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _parley; echo "\${COMPREPLY[@]}"`,
                "bash",
                ...words,
            ],
            { encoding: "utf8" },
        )
            .trim()
            .split(" ")
    assert.deepEqual(complete("parley", "bo"), ["board"])
    assert.ok(complete("parley", "board", "").includes("press"))
    assert.deepEqual(complete("parley", "board", "press", "--ho"), ["--hold"])
})
