/** I2: after quiescence and the longest lease nothing is held for a session that is not active. */

import { type Checker, Violation } from "../checker.ts"
import type { GroupServer } from "../group-server.ts"
import type { World } from "../world.ts"

export class ReleasedChecker implements Checker {
    readonly name = "I2"

    constructor(
        private readonly world: World,
        private readonly group: GroupServer,
    ) {}

    onSettled(): void {
        for (const { sid, phase } of this.group.sessions) if (phase === "closed") this.nothingOf(sid)
    }

    onEnd(): void {
        for (const { sid } of this.group.sessions) this.nothingOf(sid)
        for (const server of this.world.servers) {
            if (!server.isAlive) continue
            for (const peer of server.directions.keys())
                if (server.reservation.ledger.held(peer) !== 0)
                    throw new Violation(this.name, `${server.id} still holds bandwidth towards ${peer}, of no session`)
        }
    }

    private nothingOf(sid: string): void {
        for (const server of this.world.servers) {
            if (!server.isAlive) continue
            const { ledger } = server.reservation
            for (const peer of server.directions.keys()) {
                const held = ledger.sessionHeld(peer, sid)
                if (held === 0) continue
                throw new Violation(
                    this.name,
                    `${server.id} still holds ${held} kbit/s towards ${peer} for ${sid}, which is over`,
                )
            }
            const attempt = server.reservation.attempts().find(attempt => attempt.sid === sid)
            if (attempt) throw new Violation(this.name, `${server.id} still keeps ${sid}/${attempt.ep}, which is over`)
            if (server.media.has(sid))
                throw new Violation(this.name, `${server.id} still passes media of ${sid}, which is over`)
        }
    }
}
