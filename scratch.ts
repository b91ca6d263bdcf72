import { nodeBed } from "./bench/media/transit.ts"
import { execFileSync } from "node:child_process"
execFileSync("gcc", ["-O3", "-march=native", "-o", "/tmp/transit-bin", "bench/reference/transit.c"])
const bed = await nodeBed("/tmp/transit-bin")
for (const pps of [1000, 5000, 10000, 20000, 20000, 40000, 60000, 80000,100000]) console.log(pps, await bed.run(pps, 1000))
await bed.stop()
process.exit(0)
