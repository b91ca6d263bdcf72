/**
 * What DeviceScript itself knows of boards, in a process of its own because its bundle takes a second to load:
 *
 *     node build/board-config.cjs describe <board>...     boards/<board>.board.json as a chip sees it
 *     node build/board-config.cjs decode <file>...        the configuration partition (DCFG) in each file
 *
 * One JSON line on standard output. `describe`: `{"<board>": {archId, baseFile, dcfgOffset, fstorOffset, fstorBytes, dcfg}}`
 * with `dcfg` in base64. `decode`: `[{at, errors, settings}]`, settings as in a board.json.
 */
"use strict"

const fs = require("node:fs")
const path = require("node:path")
const { loadBundle } = require("./bundle.cjs")

function main() {
    const [verb, ...words] = process.argv.slice(2)
    process.chdir(path.join(__dirname, ".."))
    const answer = process.stdout.write.bind(process.stdout)
    console.log = console.info = console.debug = () => {}
    const devs = loadBundle({
        buildConfigFromDir: "buildConfigFromDir",
        compileBoard: "compileBoard",
        tools: "import_compiler8",
    })
    answer(`${JSON.stringify(verb === "decode" ? words.map(file => decode(devs, file)) : describe(devs, words))}\n`)
}

function describe({ buildConfigFromDir, compileBoard, tools }, boards) {
    const { buildConfig, errors } = buildConfigFromDir(".", "", { quiet: true })
    if (errors.length > 0) throw new Error(errors.map(error => `${error.filename}: ${error.messageText}`).join("\n"))
    const number = value => tools.parseAnyInt(value)
    return Object.fromEntries(
        boards.map(name => {
            const board = buildConfig.boards[name]
            if (!board) throw new Error(`boards/${name}.board.json does not exist`)
            const arch = buildConfig.archs[board.archId]
            const description = {
                archId: arch.id,
                baseFile: path.posix.basename(arch.bareUrl),
                dcfgOffset: number(arch.dcfgOffset) - number(arch.binFlashOffset),
                fstorOffset: number(board.fstorOffset ?? arch.fstorOffset) - number(arch.binFlashOffset),
                fstorBytes: arch.fstorPages * arch.flashPageSize,
                // Checks the pins against what the chip has.
                dcfg: Buffer.from(tools.serializeDcfg(compileBoard(arch, board))).toString("base64"),
            }
            return [name, description]
        }),
    )
}

function decode({ tools }, file) {
    const bytes = fs.readFileSync(file)
    const [at] = tools.findDcfgOffsets(bytes)
    if (at === undefined) return { at: -1, errors: ["no configuration partition"], settings: {} }
    const { errors, settings } = tools.decodeDcfg(bytes.subarray(at))
    return { at, errors, settings: tools.decompileDcfg(settings) }
}

try {
    main()
} catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
}
