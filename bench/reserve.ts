/**
 * The reservation on real networks, by the real code in virtual time: links, delays, round trips and messages of a setup in
 * both modes beside the references, blocking under load, and setups per second of one core. [routing-spec 4]
 *
 * Figures without a suffix are for 8 destinations, means of the networks.
 */

import { dataFolder } from "./data/folder.ts"
import { isMeshed } from "./data/meshed.ts"
import { type Network, networks } from "./data/network.ts"
import { planetLabFile } from "./data/planetlab.ts"
import { zooFile } from "./data/topology-zoo.ts"
import { measureLoad } from "./reservation/load.ts"
import { measureSetups, type Setups } from "./reservation/setups.ts"
import { measureSpeed } from "./reservation/speed.ts"
import type { Bench, BenchResult } from "./run.ts"

const files = `${zooFile} and ${planetLabFile}`
const destinationCounts = [8, 4, 16]
const sessions = 100
const loadSessions = 1600
const speedSetups = 2000
/** The claims' windows from the first attempt on. */
const windowOnly = { guidedAttempts: 0 }

export const reserveBench: Bench = {
    summary: "the reservation on real networks: trees, setups, messages, blocking under load, setups per second",
    options: { data: `folder that holds ${files}`, seed: "draws the overlay and the sessions (default 1)" },
    run: async (options, progress) => {
        const seed = Number(options.seed ?? 1)
        if (!Number.isInteger(seed) || seed < 0) throw new Error("--seed: an integer is needed")
        return measure(networks(dataFolder(options.data, files), seed), seed, progress)
    },
}

function measure(list: Network[], seed: number, progress: (line: string) => void): BenchResult {
    const figures: Record<string, number> = { networks: list.length }
    for (const destinations of destinationCounts) {
        const guided: Setups[] = []
        const window: Setups[] = []
        progress(`${destinations} destinations, ${sessions} sessions a network and mode:`)
        for (const network of list) {
            guided.push(measureSetups(network, seed, destinations, sessions, {}))
            window.push(measureSetups(network, seed, destinations, sessions, windowOnly))
            progress(`  ${network.name.padEnd(15)} ${network.graph.ids.length} servers: ${line(guided, window)}`)
        }
        Object.assign(figures, setupFigures(guided, window, destinations === 8 ? "" : `K${destinations}`))
    }

    const loads: ReturnType<typeof measureLoad>[] = []
    const meshed: ReturnType<typeof measureLoad>[] = []
    progress(`under load, 8 destinations, ${loadSessions} sessions a network:`)
    for (const network of list) {
        const load = measureLoad(network, seed, loadSessions)
        loads.push(load)
        const hasChoice = isMeshed(network.graph)
        if (hasChoice) meshed.push(load)
        progress(
            `  ${network.name.padEnd(15)} ${load.erlangs.toFixed(1)} erlangs: shortest paths block ` +
                `${percent(load.blockingSpt)}, the reservation ${percent(load.blockingGuided)} with ` +
                `${load.attemptsMean.toFixed(2)} tries${hasChoice ? "" : " (too few links to choose from)"}`,
        )
    }
    if (meshed.length === 0) throw new Error("no network is meshed")
    figures.blockingGuided = mean(meshed, load => load.blockingGuided)
    figures.blockingSpt = mean(meshed, load => load.blockingSpt)
    figures.blockingNetworks = meshed.length
    figures.blockingErlangs = mean(meshed, load => load.erlangs)
    figures.blockingGuidedAll = mean(loads, load => load.blockingGuided)
    figures.blockingSptAll = mean(loads, load => load.blockingSpt)

    const overlay = list[list.length - 1]
    figures.setupsPerSecond = measureSpeed(overlay, seed, speedSetups)
    progress(`${overlay.name}: ${Math.round(figures.setupsPerSecond)} setups per second of one core`)
    return { figures, seed }
}

function setupFigures(guided: Setups[], window: Setups[], suffix: string): Record<string, number> {
    const figures: Record<string, number> = {
        guidedLinksVsKmb: mean(guided, each => each.linksVsKmb),
        guidedDelayStretch: mean(guided, each => each.delayStretch),
        guidedSetupRtts: mean(guided, each => each.setupRtts),
        guidedMessages: mean(guided, each => each.messages),
        guidedActiveRtts: mean(guided, each => each.activeRtts),
        guidedActiveMessages: mean(guided, each => each.activeMessages),
        guidedRefused: mean(guided, each => each.refused),
        windowLinksVsKmb: mean(window, each => each.linksVsKmb),
        windowDelayStretch: mean(window, each => each.delayStretch),
        windowSetupRtts: mean(window, each => each.setupRtts),
        windowMessages: mean(window, each => each.messages),
        windowActiveRtts: mean(window, each => each.activeRtts),
        windowActiveMessages: mean(window, each => each.activeMessages),
        windowRefused: mean(window, each => each.refused),
        sptLinksVsKmb: mean(guided, each => each.sptLinksVsKmb),
        starLinksVsKmb: mean(guided, each => each.starLinksVsKmb),
        kmbLinksVsExact: mean(guided, each => each.kmbVsExact),
    }
    return Object.fromEntries(
        Object.entries(figures)
            .filter(([name, value]) => name !== "kmbLinksVsExact" || !Number.isNaN(value))
            .map(([name, value]) => [name + suffix, value]),
    )
}

function line(guided: Setups[], window: Setups[]): string {
    const of = ({ linksVsKmb, delayStretch, setupRtts, messages, refused }: Setups) =>
        `links ${linksVsKmb.toFixed(3)}, stretch ${delayStretch.toFixed(3)}, ${setupRtts.toFixed(2)} RTT, ` +
        `${messages.toFixed(0)} messages${refused > 0 ? `, ${percent(refused)} refused` : ""}`
    return `guided ${of(guided[guided.length - 1])}; window ${of(window[window.length - 1])}`
}

function mean<T>(list: T[], value: (each: T) => number): number {
    return list.reduce((sum, each) => sum + value(each), 0) / list.length
}

function percent(share: number): string {
    return `${(100 * share).toFixed(1)} %`
}
