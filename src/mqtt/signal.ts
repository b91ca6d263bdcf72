/**
 * Wakes one fiber that waits for work. A signal that is raised while nobody waits is remembered, once.
 * Not `ds.wait` on an emitter: that starts a fiber for each event and forgets what nobody waits for.
 */

import * as ds from "@devicescript/core"

export class Signal {
    private raised = false
    private waiting: ds.Fiber

    raise(): void {
        this.raised = true
        if (this.waiting?.suspended) this.waiting.resume(undefined)
    }

    /** Until the signal is raised, or `timeoutMs` have passed. For one fiber only. */
    async wait(timeoutMs?: number): Promise<void> {
        if (!this.raised) {
            this.waiting = ds.Fiber.self()
            await ds.suspend(timeoutMs)
            this.waiting = undefined
        }
        this.raised = false
    }
}
