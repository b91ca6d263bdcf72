/**
 * The Jacdac face of the board's radio: connected or not, address, strength. The one of jacdac-ts never loses its address.
 * Follows the state of `Wifi`; never changes it except through its own register `enabled`.
 */

import { type JDServiceServer, jacdac } from "../media-engine/jacdac.ts"
import type { Wifi } from "../wifi.ts"

export interface WifiServerOptions {
    wifi: Wifi
    ipAddress: string
    /** Six bytes. */
    hardwareAddress: Uint8Array
}

const goodSignalDb = -50
const noSignalDb = -128
const networkName = "parley-sim"

export function createWifiServer({ wifi, ipAddress, hardwareAddress }: WifiServerOptions): JDServiceServer {
    const { JDServiceServer, SRV_WIFI, WifiCmd, WifiEvent, WifiReg, CHANGE } = jacdac
    const address = Uint8Array.from(ipAddress.split("."), Number)

    class WifiServer extends JDServiceServer {
        readonly enabled = this.addRegister<[boolean]>(WifiReg.Enabled, [true])
        readonly rssi = this.addRegister<[number]>(WifiReg.Rssi, [goodSignalDb])
        readonly ipAddress = this.addRegister<[Uint8Array]>(WifiReg.IpAddress, [address])

        constructor() {
            super(SRV_WIFI)
            this.addRegister<[string]>(WifiReg.Ssid, [networkName])
            this.addRegister<[Uint8Array]>(WifiReg.Eui48, [hardwareAddress])
            // One network, always known: these have nothing to do here, but are not errors.
            for (const command of [WifiCmd.AddNetwork, WifiCmd.ForgetNetwork, WifiCmd.ForgetAllNetworks, WifiCmd.Scan])
                this.addCommand(command, () => {})
            this.addCommand(WifiCmd.Reconnect, () => this.follow())
            this.enabled.on(CHANGE, () => wifi.set({ up: this.enabled.values()[0] }))
            wifi.onChange(() => this.follow())
            this.follow()
        }

        follow(): void {
            const had = this.ipAddress.values()[0].length > 0
            this.rssi.setValues([wifi.up ? goodSignalDb : noSignalDb])
            this.ipAddress.setValues([wifi.up ? address : new Uint8Array(0)])
            if (had === wifi.up) return
            void this.sendEvent(wifi.up ? WifiEvent.GotIp : WifiEvent.LostIp)
        }
    }
    return new WifiServer()
}
