/**
 * `parley reservation ...`: what routing servers hold for sessions, by their own word.
 */
import { type Outcome, success } from "../outcome.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { answered, type Gathered, gatherReservations } from "../system/reservations.ts"
import { heldTable, ledgerTable } from "./reservation-text.ts"

export function addReservationCommands(shell: Shell): void {
    const reservation = shell.noun("reservation", "bandwidth and DSP units that routing servers hold for sessions")
    shell.verb(reservation, {
        name: "list",
        about: "what each routing server holds for which session, and how much of what there is",
        options: [["--server <server>", "only this routing server"]],
        examples: ["parley reservation list", "parley reservation list --server rs-a"],
        run: list,
    })
}

async function list({ settings, flags }: Call): Promise<Outcome<Answer>> {
    const server = flags.server as string | undefined
    const gathered = answered(await gatherReservations(settings, server === undefined ? {} : { server }))
    if (!gathered.ok) return gathered
    const { servers, silent } = gathered.value
    const held = servers.some(one => one.reservations.length > 0)
    const parts = [
        held ? heldTable(servers, true) : "nothing is reserved",
        ledgerTable(servers),
        ...silentLines(silent),
    ]
    return success({ value: { servers, silent: silentValue(silent) }, text: parts.join("\n\n") })
}

export function silentLines(silent: Gathered["silent"]): string[] {
    return silent.length > 0 ? [silent.map(({ failure }) => `no answer: ${failure.what}`).join("\n")] : []
}

export function silentValue(silent: Gathered["silent"]) {
    return silent.map(({ server, failure: { code, what } }) => ({ server, code, what }))
}
