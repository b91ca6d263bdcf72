/**
 * Preloaded into every process that `parley up` starts: when the parent is gone, however it went, the process stops too.
 * A killed `up` must not leave a broker behind that keeps the address of the next one.
 */
const stopWithinMs = 2000

process.on("disconnect", () => {
    process.kill(process.pid, "SIGTERM")
    setTimeout(() => process.kill(process.pid, "SIGKILL"), stopWithinMs).unref()
})
// Listening must not keep the process alive by itself.
process.channel?.unref()
