/**
 * The Jacdac face of the board's radio: connected or not, address, strength, the networks it hears, the one it stores. The
 * one of jacdac-ts never loses its address. Follows the state of `Wifi`; changes it only as its own commands say.
 */

import { type JDServiceServer, jacdac, type Packet } from "../media-engine/jacdac.ts"
import type { Wifi } from "../wifi.ts"

export interface WifiServerOptions {
    wifi: Wifi
    ipAddress: string
    /** Six bytes. */
    hardwareAddress: Uint8Array
}

const noSignalDb = -128
const hasPassword = 1
const channel = 6

export function createWifiServer({ wifi, ipAddress, hardwareAddress }: WifiServerOptions): JDServiceServer {
    const { JDServiceServer, OutPipe, SRV_WIFI, WifiCmd, WifiEvent, WifiReg, CHANGE } = jacdac
    const address = Uint8Array.from(ipAddress.split("."), Number)

    class WifiServer extends JDServiceServer {
        readonly enabled = this.addRegister<[boolean]>(WifiReg.Enabled, [true])
        readonly rssi = this.addRegister<[number]>(WifiReg.Rssi, [noSignalDb])
        readonly ipAddress = this.addRegister<[Uint8Array]>(WifiReg.IpAddress, [address])
        readonly ssid = this.addRegister<[string]>(WifiReg.Ssid, [""])

        // Not told from the address: the register pads it.
        private connected = true

        constructor() {
            super(SRV_WIFI)
            this.addRegister<[Uint8Array]>(WifiReg.Eui48, [hardwareAddress])
            this.addCommand(WifiCmd.AddNetwork, packet => this.add(packet))
            this.addCommand(WifiCmd.ForgetNetwork, packet => {
                if (wifi.stored?.name === packet.stringData) wifi.store(undefined)
            })
            this.addCommand(WifiCmd.ForgetAllNetworks, () => wifi.store(undefined))
            this.addCommand(WifiCmd.Scan, () => this.scanned())
            // Who asked may be gone before all is told.
            this.addCommand(WifiCmd.LastScanResults, packet => void this.tellHeard(packet).catch(() => {}))
            this.addCommand(WifiCmd.ListKnownNetworks, packet => void this.tellStored(packet).catch(() => {}))
            this.addCommand(WifiCmd.Reconnect, () => {
                this.follow()
                this.tellFailure()
            })
            this.enabled.on(CHANGE, () => wifi.set({ up: this.enabled.values()[0] }))
            wifi.onChange(() => this.follow())
            this.follow()
        }

        follow(): void {
            this.rssi.setValues([wifi.joined?.rssiDb ?? noSignalDb])
            this.ssid.setValues([wifi.joined?.name ?? ""])
            this.ipAddress.setValues([wifi.up ? address : new Uint8Array(0)])
            if (this.connected === wifi.up) return
            this.connected = wifi.up
            void this.sendEvent(wifi.up ? WifiEvent.GotIp : WifiEvent.LostIp)
        }

        private add(packet: Packet): void {
            const [name, password] = packet.jdunpack<[string, string]>("z z")
            if (!name) return
            wifi.store({ name, password: password ?? "" })
            void this.sendEvent(WifiEvent.NetworksChanged)
            this.tellFailure()
        }

        /** The radio has tried the stored network, and was not let in. */
        private tellFailure(): void {
            const { stored, joined } = wifi
            if (stored && !joined) void this.sendEvent(WifiEvent.ConnectionFailed, jacdac.jdpack("s", [stored.name]))
        }

        private scanned(): void {
            const known = wifi.heard.filter(one => one.name === wifi.stored?.name).length
            void this.sendEvent(WifiEvent.ScanComplete, jacdac.jdpack("u16 u16", [wifi.heard.length, known]))
        }

        private async tellHeard(packet: Packet): Promise<void> {
            const pipe = OutPipe.from(this.device.bus, packet, true)
            await pipe.respondForEach([...wifi.heard], ({ name, password, rssiDb }) =>
                jacdac.jdpack("u32 u32 i8 u8 b[6] s[33]", [
                    password === "" ? 0 : hasPassword,
                    0,
                    rssiDb,
                    channel,
                    hardwareAddress,
                    name,
                ]),
            )
        }

        private async tellStored(packet: Packet): Promise<void> {
            const pipe = OutPipe.from(this.device.bus, packet, true)
            await pipe.respondForEach(wifi.stored ? [wifi.stored] : [], ({ name }) =>
                jacdac.jdpack("i16 i16 s", [0, 0, name]),
            )
        }
    }
    return new WifiServer()
}
