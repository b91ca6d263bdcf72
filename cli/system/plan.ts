/**
 * How each part of a local system is started: its main file and arguments, from the layout and the state folder.
 * Pure: the contract of the processes in one place.
 */
import { join } from "node:path"
import { tokenFileOf } from "../../servers/routing/state-folder.ts"
import type { Layout, ServerPlace } from "../layout.ts"
import type { PartPlan } from "./child.ts"

export interface Folders {
    state: string
    credentials: string
    group: string
    logs: string
    secrets: string
    boards: string
    adminToken: string
    simConfig: string
    simToken: string
}

export function foldersOf(stateFolder: string): Folders {
    const group = join(stateFolder, "group")
    return {
        state: stateFolder,
        credentials: join(stateFolder, "credentials"),
        group,
        logs: join(stateFolder, "logs"),
        secrets: join(stateFolder, "secrets"),
        boards: join(stateFolder, "boards"),
        adminToken: join(group, "admin.token"),
        simConfig: join(stateFolder, "sim.json"),
        simToken: join(stateFolder, "sim.token"),
    }
}

export function brokerUrl(layout: Layout): string {
    return `mqtt://${layout.broker.host}:${layout.broker.port}`
}

export function groupPlan(layout: Layout, folders: Folders): PartPlan {
    const { host, port } = layout.group
    return {
        name: "group-server",
        kind: "group",
        address: `${host}:${port}`,
        main: "servers/group/main.ts",
        args: [
            ...["--state", folders.group, "--http-host", host, "--http-port", String(port)],
            ...["--broker", brokerUrl(layout), "--credentials", folders.credentials],
        ],
    }
}

export function brokerPlan(layout: Layout, folders: Folders): PartPlan {
    const { host, port } = layout.broker
    return {
        name: "broker",
        kind: "broker",
        address: `${host}:${port}`,
        main: "servers/broker/main.ts",
        args: ["--host", host, "--port", String(port), "--credentials", folders.credentials],
    }
}

export function routingPlan(layout: Layout, folders: Folders, server: ServerPlace): PartPlan {
    const state = join(folders.state, "servers", server.id)
    return {
        name: server.id,
        kind: "routing",
        controlTokenFile: tokenFileOf(state),
        address: `${server.ip}:${server.mediaPort}`,
        main: "servers/routing/main.ts",
        args: [
            ...["--id", server.id, "--secret-file", secretFile(folders, server.id), "--ip", server.ip],
            ...["--link-port", String(server.linkPort), "--media-port", String(server.mediaPort)],
            ...["--broker", brokerUrl(layout), "--dsp-units", String(server.dspUnits)],
            ...["--state", state, "--control-port", String(server.controlPort)],
        ],
    }
}

export function simPlan(layout: Layout, folders: Folders): PartPlan {
    return {
        name: "simulator",
        kind: "sim",
        address: `${layout.sim.host}:${layout.sim.port}`,
        main: "sim/main.ts",
        args: ["--config", folders.simConfig],
    }
}

export function secretFile(folders: Folders, id: string): string {
    return join(folders.secrets, `${id}.secret`)
}
