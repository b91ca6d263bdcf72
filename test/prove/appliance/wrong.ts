/** What the figures of the proof `appliance` break. By itself, so that a list of proofs does not load a simulator. */

/** Growth that is noise: where the collector leaves a hole differs by this much. */
const heapNoiseBytes = 512

export function wrongWithAppliance(figures: Record<string, number>): string {
    const { cycles, cyclesWanted, brokerLosses, brokerLossesWanted, panics, bricked, heapGrowthBytes, unclear } =
        figures
    if (cycles < cyclesWanted || brokerLosses < brokerLossesWanted)
        return `it ended after ${cycles} cycles and ${brokerLosses} losses`
    if (panics > 0) return `${panics} panics`
    if (bricked > 0) return `${bricked} power cuts that it did not recover from`
    if (unclear > 0) return `${unclear} hostile cases without a clear screen`
    return heapGrowthBytes > heapNoiseBytes ? `the heap grew by ${heapGrowthBytes} bytes` : ""
}
