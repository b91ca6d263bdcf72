import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { checks, diagnose, type Evidence } from "../../cli/device/doctor.ts"

const well: Evidence = {
    frames: 100,
    damaged: 0,
    hasMachine: true,
    isRunning: true,
    panics: [],
    phase: "idle",
    health: { clockErrorMs: 3, ended: "not-yet", denial: 0, mediaPresent: true, reason: "", socket: "" },
    identity: { id: "board-a", board: "room-panel", name: "Room A", firmware: "1" },
    wifi: { enabled: true, joined: "Office", address: "10.0.0.7", rssiDb: -50, stored: ["Office"], heard: undefined },
    shownTime: { shown: "23:59", here: "00:00" },
    provisioned: { id: true, secret: true, broker: { host: "broker", port: 1883 } },
}

const health = (change: Partial<NonNullable<Evidence["health"]>>) => ({ ...well.health!, ...change })
const wifi = (change: Partial<NonNullable<Evidence["wifi"]>>) => ({ ...well.wifi!, ...change })
const saying = (socket: string) => ({ phase: "connecting" as const, health: health({ ended: "unreachable", socket }) })

describe("the doctor of an appliance", () => {
    test("finds nothing at one that is well", () => {
        const { first, findings } = diagnose(well)
        assert.equal(first, undefined)
        assert.deepEqual(
            findings.map(({ check, verdict }) => `${check} ${verdict}`),
            checks.map(check => `${check} good`),
        )
    })

    test("names the first check that fails, with evidence and the next action; what stands behind it is unknown", () => {
        const { first, findings } = diagnose({ ...well, ...saying("getaddrinfo ENOTFOUND broker") })
        assert.equal(first?.check, "name")
        assert.match(first.what, /"broker".*ENOTFOUND/)
        assert.match(first.next, /parley device config set broker/)
        assert.deepEqual(
            findings.map(({ verdict }) => verdict),
            [..."gggf"].map(letter => (letter === "g" ? "good" : "failed")).concat(Array(5).fill("unknown"), "good"),
        )
    })

    const cases: [string, Partial<Evidence>, string][] = [
        ["nothing over the port", { frames: 0, hasMachine: false, phase: undefined }, "power silent"],
        ["a line that damages frames", { damaged: 60 }, "power bad-line"],
        ["a crashing program", { phase: undefined, panics: ["PANIC 60004"] }, "power crashes"],
        ["a stopped program", { phase: undefined, isRunning: false }, "power stopped"],
        ["another program", { phase: undefined, health: undefined }, "power no-program"],
        ["no network stored", { wifi: wifi({ joined: "", stored: [] }) }, "wifi no-network"],
        ["a network out of reach", { wifi: wifi({ joined: "", heard: [] }) }, "wifi not-heard"],
        [
            "a wrong password",
            { wifi: wifi({ joined: "", heard: [{ name: "Office", rssiDb: -60, secured: true }] }) },
            "wifi not-let-in",
        ],
        ["a network without addresses", { wifi: wifi({ address: "" }) }, "address no-address"],
        [
            "no broker",
            { phase: "unprovisioned", provisioned: { ...well.provisioned, broker: undefined } },
            "name no-broker",
        ],
        ["a certificate", saying("tls://broker:8883: certificate has expired"), "tls tls"],
        ["a port without a broker", saying("tcp://broker:1883: connect ECONNREFUSED"), "broker broker-unreachable"],
        ["a wrong secret", { phase: "refused", health: health({ denial: 5 }) }, "broker identity-refused"],
        [
            "no secret",
            { phase: "unprovisioned", provisioned: { ...well.provisioned, secret: false } },
            "broker no-identity",
        ],
        ["a silent group server", { phase: "registering" }, "registration no-group-server"],
        [
            "an unknown endpoint",
            { phase: "registering", health: health({ reason: "unknown-endpoint" }) },
            "registration unknown-endpoint",
        ],
        ["an unknown time", { health: health({ clockErrorMs: undefined }) }, "clock clock-unknown"],
        ["a loose time", { health: health({ clockErrorMs: 9000 }) }, "clock clock-loose"],
        ["a wrong time", { shownTime: { shown: "13:05", here: "14:05" } }, "clock clock-wrong"],
        [
            "no routing server",
            { phase: "choosing", health: health({ reason: "no-servers" }) },
            "routing-server no-routing-server",
        ],
        [
            "a full routing server",
            { phase: "attaching", health: health({ reason: "no-dsp" }) },
            "routing-server no-dsp",
        ],
        [
            "no media engine, which would choose the routing server",
            { phase: "choosing", health: health({ mediaPresent: false }) },
            "media-engine media-absent",
        ],
    ]
    for (const [name, change, expected] of cases)
        test(`tells ${name}`, () => {
            const { first } = diagnose({ ...well, ...change })
            assert.equal(`${first?.check} ${first?.code}`, expected)
        })
})
