/**
 * A network of real routing servers in this process, on loopback addresses of their own, with a played group server: for
 * tests of the topology.
 */

import { pino } from "pino"
import { type NeighbourLimits, neighbourLimitDefaults, type Peer, type Place } from "../../protocol/servers.ts"
import type { RunningBroker } from "../../servers/broker/broker.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { RoutingServer, type ServerParts } from "../../servers/routing/server.ts"
import { noConditions, type PathConditions } from "../../servers/routing/underlay/conditions.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { type Enrolled, enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { eventually } from "../support/deadline.ts"
import { connectParty, type TestParty } from "../support/mqtt.ts"

export class Network {
    readonly servers = new Map<string, RoutingServer>()
    readonly places = new Map<string, Place>()
    /** Pairs that an administrator has set, as "a b". */
    readonly statics = new Set<string>()
    deny: [string, string][] = []
    limits: NeighbourLimits = neighbourLimitDefaults
    /** Each server's last hello. */
    readonly #hellos = new Map<string, Peer>()
    readonly #boots = new Map<string, number>()
    #broker!: RunningBroker
    #parties!: Enrolled
    #group!: TestParty
    #n = 1

    static async start(ids: readonly string[]): Promise<Network> {
        const network = new Network()
        network.#parties = enrolParties(Object.fromEntries([["group", "group"], ...ids.map(id => [id, "rs"])]))
        network.#broker = await startEmbeddedBroker(network.#parties.dir)
        network.#group = await connectParty(network.#broker, "group", network.#parties.secrets.group)
        await network.#group.subscribe("parley/v1/+/+/out/group/hello")
        await network.#group.publish("parley/v1/group/state", { boot: 1, on: 1 }, { retain: true })
        return network
    }

    at(id: string): RoutingServer {
        const server = this.servers.get(id)
        if (!server) throw new Error(`no server ${id}`)
        return server
    }

    /** Starts a server and tells everybody of it, as the group server does [claim 10]. */
    async add(id: string, more: Partial<ServerParts> = {}): Promise<RoutingServer> {
        const boot = (this.#boots.get(id) ?? 0) + 1
        this.#boots.set(id, boot)
        const known = this.#hellos.get(id)
        const server = new RoutingServer({
            ...{
                id,
                ip: known?.ip ?? loopbackAddress(),
                linkPort: known?.linkPort ?? 0,
                mediaPort: 0,
                dspUnits: 8,
                boot,
            },
            ...{ broker: this.#broker, secret: this.#parties.secrets[id], randomSeed: 7 },
            identity: createIdentity(id, Date.UTC(2026, 0, 1)),
            log: pino({ level: process.env.PARLEY_TEST_LOG ?? "silent", base: { id } }),
            ...more,
        })
        const what = await server.start()
        if (what) throw new Error(what)
        this.servers.set(id, server)
        const hello = await this.#group.nextJson(`parley/v1/rs/${id}/out/group/hello`)
        const { ip, linkPort, mediaPort, fingerprint } = hello
        this.#hellos.set(id, { rs: id, ip, linkPort, mediaPort, fingerprint, static: 0 })
        await this.#group.publish(`parley/v1/rs/${id}/in/group/done`, { re: hello.id, nowMs: Date.now() })
        await this.tell()
        return server
    }

    /** Tells all servers the policy and the list as they are now. */
    async tell(): Promise<void> {
        const n = this.#n++
        for (const to of this.servers.keys()) {
            const own = this.places.get(to) ?? {}
            const policy = { n, deny: this.deny, limits: this.limits, own }
            await this.#group.publish(`parley/v1/rs/${to}/in/group/policy`, policy)
            const list = [...this.#hellos.values()]
                .filter(({ rs }) => rs !== to)
                .map(peer => {
                    const isStatic = this.statics.has(`${to} ${peer.rs}`) || this.statics.has(`${peer.rs} ${to}`)
                    return { ...peer, ...this.places.get(peer.rs), static: isStatic ? 1 : 0 }
                })
            await this.#group.publish(`parley/v1/rs/${to}/in/group/peers`, { n, list })
        }
    }

    /** The emulated network between two servers, both ways. */
    between(a: string, b: string, conditions: Partial<PathConditions>): void {
        for (const [one, other] of [
            [a, b],
            [b, a],
        ])
            this.servers.get(one)?.emulate(this.#hellos.get(other)?.ip ?? other, { ...noConditions, ...conditions })
    }

    cut(a: string, b: string): void {
        this.between(a, b, { cut: true })
    }

    /** Everybody reaches everybody else, and all databases are equal. */
    async settled(limitMs?: number): Promise<void> {
        const servers = [...this.servers.values()]
        await eventually(
            () => {
                const keys = servers.map(server => server.topology.databaseKeys().join())
                return servers.every(
                    (server, i) => server.routes().length === servers.length - 1 && keys[i] === keys[0],
                )
            },
            "everybody to reach everybody",
            limitMs,
        )
    }

    neighboursOf(id: string): string[] {
        return this.at(id)
            .links.snapshot()
            .filter(({ up }) => up)
            .map(({ rs }) => rs)
            .sort()
    }

    async remove(id: string): Promise<void> {
        await this.at(id).stop()
        this.servers.delete(id)
        this.#hellos.delete(id)
    }

    async stop(): Promise<void> {
        await Promise.all([...this.servers.values()].map(server => server.stop()))
        await this.#group.end()
        await this.#broker.stop()
        this.#parties.remove()
    }
}
