/**
 * Where the thread of a data plane begins. Plain JavaScript: tsx, which reads TypeScript, is not there yet in a new thread.
 */
import { register } from "tsx/esm/api"

register()
await import("./worker.ts")
