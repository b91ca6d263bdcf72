/**
 * Virtual time: what is to happen when, in one order for one seed. Events at the same instant happen in the order in which
 * they were put down. A binary heap on arrays; millions of events a second.
 */

export class Agenda {
    nowMs = 0
    /** Events that have happened. */
    happened = 0
    private readonly times: number[] = []
    private readonly orders: number[] = []
    private readonly actions: (() => void)[] = []
    private order = 0

    at(timeMs: number, action: () => void): void {
        const { times, orders, actions } = this
        const time = Math.max(timeMs, this.nowMs)
        const order = this.order++
        let place = times.length
        times.push(time)
        orders.push(order)
        actions.push(action)
        while (place > 0) {
            const above = (place - 1) >> 1
            if (times[above] <= time) break
            times[place] = times[above]
            orders[place] = orders[above]
            actions[place] = actions[above]
            place = above
        }
        times[place] = time
        orders[place] = order
        actions[place] = action
    }

    in(delayMs: number, action: () => void): void {
        this.at(this.nowMs + delayMs, action)
    }

    get size(): number {
        return this.times.length
    }

    /** Time of the next event; Infinity when there is none. */
    nextMs(): number {
        return this.times.length > 0 ? this.times[0] : Number.POSITIVE_INFINITY
    }

    /** Lets everything happen up to and including `untilMs`. */
    runUntil(untilMs: number): void {
        while (this.times.length > 0 && this.times[0] <= untilMs) this.step()
        this.nowMs = untilMs
    }

    step(): void {
        const { times, orders, actions } = this
        const action = actions[0]
        this.nowMs = times[0]
        const time = times.pop() as number
        const order = orders.pop() as number
        const last = actions.pop() as () => void
        const size = times.length
        if (size > 0) {
            let place = 0
            for (;;) {
                let child = place * 2 + 1
                if (child >= size) break
                const right = child + 1
                if (
                    right < size &&
                    (times[right] < times[child] || (times[right] === times[child] && orders[right] < orders[child]))
                )
                    child = right
                if (times[child] > time || (times[child] === time && orders[child] > order)) break
                times[place] = times[child]
                orders[place] = orders[child]
                actions[place] = actions[child]
                place = child
            }
            times[place] = time
            orders[place] = order
            actions[place] = last
        }
        this.happened++
        action()
    }
}
