/**
 * `parley up`, `stop` and `doctor`: a whole system on this machine, started, stopped, looked at.
 */

import { planLayout } from "../layout.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { examine } from "../system/examine.ts"
import { findRun, isAlive } from "../system/run-file.ts"
import { showStatus } from "../system/status.ts"
import { type Death, type System, startSystem } from "../system/system.ts"

export function addSystemCommands(shell: Shell): void {
    shell.verb(shell.program, {
        name: "up",
        about: "start a whole system here: broker, group server, routing servers and simulated boards",
        options: [
            ["--boards <number>", "simulated boards (PARLEY_BOARDS; default 3)"],
            ["--servers <number>", "routing servers (PARLEY_SERVERS; default 3)"],
            ["--network <prefix>", "first two numbers of all addresses (PARLEY_NETWORK; default 127.0)"],
        ],
        examples: ["parley up", "parley up --state /tmp/second --network 127.40"],
        run: up,
    })
    shell.verb(shell.program, { name: "stop", about: "stop the system that `parley up` runs", run: stop })
    shell.verb(shell.program, {
        name: "doctor",
        about: "is everything up; if not, which part, and what to do",
        run: doctor,
    })
}

async function up({ settings, output }: Call): Promise<Outcome<Answer>> {
    const { stateFolder, network } = settings
    const layout = planLayout(network, settings.boards, settings.servers)
    const stopping = new AbortController()
    let system: System | undefined
    let asked = 0
    const onSignal = () => {
        asked++
        if (asked === 1) return stopping.abort()
        // The second Ctrl-C means now.
        system?.kill()
        process.exit(130)
    }
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal)

    const started = await startSystem(
        {
            stateFolder,
            network,
            layout,
            onEvent(event) {
                if (event.type === "phase") output.progress(output.paint("dim", event.text))
                if (event.type === "partReady")
                    output.progress(
                        `${output.paint("good", "up")}  ${event.part.padEnd(13)} ${event.address} (process ${event.pid})`,
                    )
                // A live status shows it in its picture.
                if (event.type === "partDied" && !(output.live && system))
                    output.failed(diedFailure(event, stateFolder))
            },
        },
        stopping.signal,
    )
    if (!started.ok) return started
    system = started.value
    const { run } = system
    if (output.json) output.answer({ stateFolder, ...run }, "")
    else {
        output.progress(`Everything is up in ${stateFolder}. In another terminal: parley board list; Ctrl-C stops all.`)
    }
    const status = showStatus(system, output)
    await new Promise<void>(resolve => {
        if (stopping.signal.aborted) resolve()
        else stopping.signal.addEventListener("abort", () => resolve())
    })
    status.stop()
    output.progress("stopping...")
    await system.stop()
    output.progress("stopped")
    if (system.died.length > 0) return diedFailure(system.died[0], stateFolder)
    // With --json the answer was given when everything was up.
    return success({ value: undefined, text: "" })
}

function diedFailure({ part, end }: Death, stateFolder: string) {
    return failure("failed", "part-died", `${part} died (${end.signal ?? `code ${end.code}`}); it was not restarted`, {
        who: "operator",
        next: `parley up again; why it died: ${stateFolder}/logs/${part}.log`,
        details: { part, log: end.log },
    })
}

async function stop({ settings }: Call): Promise<Outcome<Answer>> {
    const run = findRun(settings.stateFolder)
    if (!run.ok) return run
    const { pid } = run.value
    process.kill(pid, "SIGTERM")
    const deadlineMs = performance.now() + settings.waitMs
    while (isAlive(pid)) {
        if (performance.now() > deadlineMs)
            return failure("timeout", "timeout", `process ${pid} did not stop in ${settings.waitMs / 1000} s`, {
                who: "you",
                next: `kill -9 ${pid}`,
            })
        await new Promise(resolve => setTimeout(resolve, 50))
    }
    return success({ value: { stopped: pid }, text: `stopped (process ${pid})` })
}

async function doctor({ settings, output }: Call): Promise<Outcome<Answer>> {
    const run = findRun(settings.stateFolder)
    if (!run.ok) return run
    const findings = await examine(run.value, settings)
    const bad = findings.filter(finding => finding.verdict !== "ok")
    const rows = findings.map(finding => [
        output.paint(finding.verdict === "ok" ? "good" : "bad", finding.verdict),
        finding.subject,
        finding.evidence,
        finding.next ?? "",
    ])
    const text = table(["VERDICT", "WHAT", "EVIDENCE", "NEXT"], rows)
    if (bad.length === 0) return success({ value: { verdict: "ok", findings }, text })
    if (!output.json) output.answer(undefined, text)
    return failure(
        "failed",
        "unwell",
        `${bad.length} of ${findings.length} parts need attention: ${bad.map(f => f.subject).join(", ")}`,
        {
            who: "operator",
            next: bad[0].next,
            details: { findings },
        },
    )
}
