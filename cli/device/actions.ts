/**
 * What the verbs of `parley device` do: open the port, ask or change, say it in words. Owns the texts for
 * people. What a board's answers mean is told by the modules beside this one.
 */

import { readCounters } from "../../serial/appliance-counters.ts"
import { jacdac } from "../../serial/jacdac.ts"
import { type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call } from "../shell.ts"
import { applianceCodes, readHealth, readIdentity, readPhase } from "./appliance-service.ts"
import { applianceClass, type BoardLink } from "./board-link.ts"
import { described, fileBytes, noAppliance, withBoard } from "./call.ts"
import { diagnose } from "./doctor.ts"
import { gatherEvidence } from "./evidence.ts"
import { lookAtRadio } from "./radio.ts"
import * as restart from "./restart.ts"

export * from "./config-actions.ts"

const secondsMax = 86_400

export function status(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const machine = await link.machine()
        const service = await link.service(applianceClass)
        const phase = await readPhase(link, service)
        if (!machine || phase === undefined) return noAppliance(link)
        const { registers } = applianceCodes
        const text = async (register: number) => (await link.read(service, register))?.toString("utf8") ?? ""
        const manager = link.services(jacdac.SRV_DEVICE_SCRIPT_MANAGER)[0]
        const sha256 = await link.read(manager, jacdac.DeviceScriptManagerReg.ProgramSha256)
        const radio = await link.service(jacdac.SRV_WIFI)
        const value = {
            port: link.path,
            shared: link.shared,
            identity: readIdentity(await link.read(service, registers.identity)) ?? null,
            phase,
            server: await text(registers.server),
            session: await text(registers.session),
            health: readHealth(await link.read(service, registers.health)) ?? null,
            counters: readCounters(await link.read(service, registers.counters)) ?? null,
            programSha256: sha256?.toString("hex") ?? null,
            wifi: radio ? await lookAtRadio(link, radio, false) : null,
            devices: link.devices().map(device => device.deviceId),
        }
        return success({ value, text: described(value) })
    })
}

export function doctor(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        call.output.progress("listening to the board")
        const evidence = await gatherEvidence(link)
        const diagnosis = diagnose(evidence)
        const rows = diagnosis.findings.map(({ check, verdict, fault }) => [check, verdict, fault?.what ?? ""])
        const { first } = diagnosis
        const advice = first ? `\n\n${first.check}: ${first.what}\n  next: ${call.output.typed(first.next)}` : ""
        return success({
            value: { first: first ?? null, findings: diagnosis.findings, evidence },
            text: table(["CHECK", "VERDICT", "EVIDENCE"], rows) + advice,
            ...(first ? { exit: "failed" as const } : {}),
        })
    })
}

export async function logs(call: Call): Promise<Outcome<Answer>> {
    const seconds = secondsOf(call)
    if (!seconds.ok) return seconds
    const endless = call.flags.follow === true
    const isLive = endless && !call.output.json
    return withBoard(
        call,
        async link => {
            await interruptedOrAfter(endless ? undefined : (seconds.value ?? 3), link)
            return success({ value: { lines: link.log }, text: isLive ? "" : link.log.join("\n") })
        },
        isLive ? { onLog: line => process.stdout.write(`${line}\n`) } : {},
    )
}

export async function consoleOf(call: Call): Promise<Outcome<Answer>> {
    const seconds = secondsOf(call)
    if (!seconds.ok) return seconds
    const say = (kind: "log" | "packet", text: string) =>
        process.stdout.write(call.output.json ? `${JSON.stringify({ [kind]: text })}\n` : `${text}\n`)
    return withBoard(
        call,
        async link => {
            await interruptedOrAfter(seconds.value, link)
            return success({ value: undefined, text: "" })
        },
        { onLog: line => say("log", line), onPacket: text => say("packet", text) },
    )
}

export function identify(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const service = await link.service(applianceClass)
        if (!service) return noAppliance(link)
        await link.command(service, applianceCodes.commands.identify)
        const identity = readIdentity(await link.read(service, applianceCodes.registers.identity))
        if (!identity) return noAppliance(link)
        return success({ value: { identity }, text: `${identity.id || "it"} blinks for 10 s` })
    })
}

export function reboot(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const done = await restart.reboot(link)
        return done.ok ? success({ value: done.value, text: `started again (boot ${done.value.boot})` }) : done
    })
}

export async function deploy(call: Call): Promise<Outcome<Answer>> {
    const read = fileBytes(call.words[0]!, restart.bytecodeBytesMax + 1)
    if (!read.ok) return read
    return withBoard(call, async link => {
        let shown = 0
        const done = await restart.deploy(link, read.value, share => {
            const percent = Math.floor(share * 10) * 10
            if (percent > shown) call.output.progress(`${percent} %`)
            shown = Math.max(shown, percent)
        })
        if (!done.ok) return done
        const { bytes, sha256, milliseconds } = done.value
        return success({ value: done.value, text: `${bytes} bytes in ${milliseconds} ms, SHA-256 ${sha256} matches` })
    })
}

export function reset(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const agreed = await call.confirm("Erase Wi-Fi, identity, secret, broker and schedule of this board?")
        if (!agreed) return usage("nothing was erased: it cannot be undone, so it wants --yes")
        const done = await restart.factoryReset(link)
        return done.ok ? success({ value: done.value, text: "erased; it is as it came from the maker" }) : done
    })
}

function secondsOf(call: Call): Outcome<number | undefined> {
    const given = call.flags.seconds
    if (given === undefined) return success(undefined)
    const seconds = Number(given)
    if (given === "" || !(seconds > 0 && seconds <= secondsMax))
        return usage(`--seconds: a number up to ${secondsMax} is needed, not "${given}"`)
    return success(seconds)
}

function interruptedOrAfter(seconds: number | undefined, link: BoardLink): Promise<void> {
    return new Promise(resolve => {
        const settle = () => {
            clearTimeout(timer)
            clearInterval(watch)
            process.removeListener("SIGINT", settle)
            resolve()
        }
        const timer = seconds === undefined ? undefined : setTimeout(settle, seconds * 1000)
        const watch = setInterval(() => link.ended && settle(), 200)
        process.once("SIGINT", settle)
    })
}
