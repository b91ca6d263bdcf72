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
const lossMax = 0.01
const wantedLoad = 0.7
const loadTolerance = 0.03
const stepsMax = 7
const participantsMax = 1600
/** Of the participants with whom packets were lost twice, as many are tried next. */
const stepDown = 0.7

/**
 * More participants do not cost in proportion: the load that counts is looked for step by step. Runs in which packets were lost say
 * nothing, as what was lost was not worked on either: tried once more, then with fewer. On a machine that does not carry
 * the load (others run on it), the run nearest to it counts. Throws when there is none.
 */
export async function atWantedLoad<Result extends Loaded>(
    figure: string,
    firstGuess: number,
    measure: (participants: number) => Promise<Result>,
): Promise<{ participants: number; result: Result }> {
    let best: { participants: number; result: Result } | undefined
    let lostAt = Number.POSITIVE_INFINITY
    let tooMany = Number.POSITIVE_INFINITY
    let leastLoss = 1
    let participants = firstGuess
    for (let step = 0; step < stepsMax && participants < tooMany; step++) {
        const result = await measure(participants)
        if (result.loss <= lossMax) {
            if (!best || offTheMark(result) < offTheMark(best.result)) best = { participants, result }
            if (offTheMark(result) <= loadTolerance) break
            const wanted = (participants * wantedLoad) / result.load
            participants = wholeRooms(Math.max(participants / 2, Math.min(wanted, participants * 2, participantsMax)))
        } else {
            leastLoss = Math.min(leastLoss, result.loss)
            if (participants === lostAt) {
                tooMany = participants
                participants = wholeRooms(participants * stepDown)
            } else lostAt = participants
        }
    }
    if (!best) throw new Error(`${figure}: at least ${(leastLoss * 100).toFixed(1)} % were lost; is the machine busy?`)
    return best
}

/** How many one core carries at the wanted load, from a measurement near it. */
export function participantsOfCore(participants: number, { load }: Loaded): number {
    return Math.floor((participants * wantedLoad) / load)
}

/** Above it counts double: how late ticks are grows steeply there. */
function offTheMark({ load }: Loaded): number {
    return load > wantedLoad ? 2 * (load - wantedLoad) : wantedLoad - load
}

/** Rooms are of four. */
function wholeRooms(participants: number): number {
    return 4 * Math.round(participants / 4)
}
