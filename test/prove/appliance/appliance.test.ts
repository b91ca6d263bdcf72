import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { type ApplianceProof, buildFirmware } from "./appliance.ts"
import { endure } from "./endurance.ts"
import { proveHostile } from "./hostile.ts"
import { proveFlashWrites, proveRandomCuts } from "./power.ts"

/** The long form is `npm run prove -- appliance`. */
describe("the life of an appliance, in short", () => {
    let proof: ApplianceProof
    before(async () => {
        // jacdac-ts talks on the console.
        console.info = console.debug = () => {}
        const seed = 1 + Math.floor(Math.random() * 0x7ffffffe)
        proof = { firmware: await buildFirmware(), seed, progress: line => process.stderr.write(`${line}\n`) }
        process.stderr.write(`seed ${seed}\n`)
    })

    test("sessions joined and left and brokers lost leave no panic and no growth of the heap", async () => {
        const { cycles, brokerLosses, panics, heapGrowthBytes } = await endure(proof, 24, 6)
        assert.deepEqual([cycles, brokerLosses, panics], [24, 6, 0])
        assert.ok(heapGrowthBytes <= 512, `the heap grew by ${heapGrowthBytes} bytes`)
    })

    test("after a power cut before or after a flash write it boots with all that it had, and muted as it was", async () => {
        const { flashWrites, cutsAtWrites, bricked, panics } = await proveFlashWrites(proof, 40, 1)
        assert.ok(flashWrites > 100 && cutsAtWrites >= 6, `${flashWrites} writes, ${cutsAtWrites} cuts`)
        assert.deepEqual([bricked, panics], [0, 0])
    })

    test("after power cuts at random instants it registers again, and muted as it was", async () => {
        const { cuts, bricked, panics } = await proveRandomCuts(proof, 8)
        assert.deepEqual([cuts, bricked, panics], [8, 0, 0])
    })

    test("hostile settings, names, schedules and clocks leave a clear screen and no panic", async () => {
        const { hostileCases, unclear, panics } = await proveHostile(proof, 8)
        assert.deepEqual([hostileCases, unclear, panics], [8, 0, 0])
    })
})
