/**
 * The search for the participants that load one core to 70 %: the same for our mixer and for another's.
 *
 * Owns the load, how near to it a measurement has to be, and what is told from one. Never measures itself.
 */

export interface Loaded {
    /** Share of one core. */
    load: number
    /** Share of the packets that did not come to where they were sent. */
    loss: number
}

/** Of one measurement: more is lost, and something other than the processor was the limit. */
export const lossMax = 0.01
const wantedLoad = 0.7
const loadTolerance = 0.05
const stepsMax = 5
const participantsMax = 1600

/**
 * More participants do not cost in proportion: the load that counts is looked for step by step. Throws when packets were lost at
 * the end of it; such a measurement says nothing, as what was lost was not worked on either.
 */
export async function atWantedLoad<Result extends Loaded>(
    figure: string,
    firstGuess: number,
    measure: (participants: number) => Promise<Result>,
): Promise<{ participants: number; result: Result }> {
    let participants = firstGuess
    let result = await measure(participants)
    for (let step = 1; step < stepsMax && !isMeasured(result); step++) {
        const wanted = result.loss > lossMax ? participants : (participants * wantedLoad) / result.load
        participants =
            4 * Math.round(Math.max(participants / 2, Math.min(wanted, participants * 2, participantsMax)) / 4)
        result = await measure(participants)
    }
    if (result.loss > lossMax) throw new Error(`${figure}: ${(result.loss * 100).toFixed(1)} % were lost`)
    return { participants, result }
}

/** How many one core carries at the wanted load, from a measurement near it. */
export function participantsOfCore(participants: number, { load }: Loaded): number {
    return Math.floor((participants * wantedLoad) / load)
}

function isMeasured({ load, loss }: Loaded): boolean {
    return loss <= lossMax && Math.abs(load - wantedLoad) <= loadTolerance
}
