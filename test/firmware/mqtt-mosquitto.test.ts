import { startMosquitto } from "../support/broker.ts"
import { needPackage } from "../support/system-package.ts"
import { testWithBroker } from "./broker-suite.ts"

const mosquitto = needPackage("mosquitto", "mosquitto")

testWithBroker({
    name: "mosquitto",
    skip: mosquitto.ok ? false : mosquitto.why,
    start: startMosquitto,
    wrongSecret: 5,
})
