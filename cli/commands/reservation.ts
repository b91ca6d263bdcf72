/**
 * `parley reservation ...`: what routing servers hold for sessions, by their own word.
 */
import { type Outcome, success } from "../outcome.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { type Gathered, gatherReservations } from "../system/reservations.ts"
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
    const gathered = await gatherReservations(settings, server === undefined ? {} : { server })
    if (!gathered.ok) return gathered
    const { servers, silent } = gathered.value
    // One that is dead does not keep the others from being shown; only when all are silent there is no answer.
    if (servers.length === 0 && silent.length > 0) return silent[0].failure
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
