/**
 * What systemd wants to hear of a service: ready, alive, stopping. By its own program `systemd-notify`, since Node has no
 * datagram sockets of this kind. Says nothing where no systemd listens.
 */

import { spawn } from "node:child_process"

export function notifySystemd(state: string): void {
    if (!process.env.NOTIFY_SOCKET) return
    // The unit takes messages of all its processes (NotifyAccess=all).
    const child = spawn("systemd-notify", [state], { stdio: "ignore" })
    child.on("error", () => {})
    child.unref()
}

/** Three signs of life in the time that the unit grants; undefined when it has no watchdog. */
export function watchdogIntervalMs(): number | undefined {
    const microseconds = Number(process.env.WATCHDOG_USEC)
    return microseconds > 0 ? microseconds / 3000 : undefined
}
