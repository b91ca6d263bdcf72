import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { checkConfig, parseBroker } from "../../cli/device/config.ts"

function problems(content: unknown): string[] {
    const checked = checkConfig(content)
    assert.ok(!checked.ok, `accepted: ${JSON.stringify(content)}`)
    return checked.problems.map(({ at, what }) => `${at}: ${what}`)
}

describe("the configuration of an appliance", () => {
    test("is taken when every part of it is right", () => {
        const checked = checkConfig({
            id: "board-a",
            secret: "s3cret",
            broker: "mqtt://Broker.Example",
            zoneMinutes: -90,
            wifi: { name: "Büro", password: "long enough" },
        })
        assert.deepEqual(checked, {
            ok: true,
            config: {
                id: "board-a",
                secret: "s3cret",
                broker: { host: "broker.example", port: 1883 },
                zoneMinutes: -90,
                wifi: { name: "Büro", password: "long enough" },
            },
        })
    })

    test("is refused with every mistake named at its place, and no secret in the words", () => {
        const told = problems({
            id: "Board A",
            secret: "very secret words",
            brokr: "x",
            broker: "mqtt://a:99999",
            zoneMinutes: 1.5,
            wifi: { name: "n".repeat(33), password: "hunter2", channel: 6 },
        })
        assert.deepEqual(
            told.map(line => line.split(": ")[0]),
            ["brokr", "id", "secret", "broker", "zoneMinutes", "wifi.channel", "wifi.name", "wifi.password"],
        )
        assert.doesNotMatch(told.join(), /very secret|hunter2/)
    })

    test("is an object that says something", () => {
        for (const content of [null, [], "x", 1, {}]) problems(content)
    })

    test("has a broker that an appliance can reach: the form, the host and the port are each told", () => {
        const wrong: [unknown, RegExp][] = [
            ["ws://192.168.1:4:8015", /MQTT over TCP, not ws/],
            ["mqtts://broker", /not mqtts/],
            ["broker:1883", /begin with mqtt/],
            ["mqtt://192.168.1:4:8015", /one ":"/],
            ["mqtt://192.168.1", /whole IPv4 address/],
            ["mqtt://192.168.1.256", /whole IPv4 address/],
            ["mqtt://[::1]:1883", /no IPv6/],
            ["mqtt://fe80::1", /no IPv6/],
            ["mqtt://me:pass@broker", /no user/],
            ["mqtt://broker/path", /without a path/],
            ["mqtt://broker:0", /port from 1/],
            ["mqtt://broker:1e3", /port from 1/],
            ["mqtt://", /have a host/],
            ["mqtt://-broker", /host name/],
            ["mqtt://bro ker", /without a path/],
            [`mqtt://${"a.".repeat(40)}de`, /at most 64/],
            [1883, /must be a text/],
        ]
        for (const [given, word] of wrong) {
            const told = parseBroker(given)
            assert.ok(typeof told === "string", `accepted: ${given}`)
            assert.match(told, word)
        }
        assert.deepEqual(parseBroker("mqtt://10.0.0.5:8883/"), { host: "10.0.0.5", port: 8883 })
    })
})
