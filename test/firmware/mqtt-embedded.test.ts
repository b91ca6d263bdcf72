import { startBrokerChild } from "../support/broker.ts"
import { testWithBroker } from "./broker-suite.ts"

testWithBroker({ name: "the embedded broker", skip: false, start: startBrokerChild, wrongSecret: 4 })
