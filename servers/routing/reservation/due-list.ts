/**
 * Who has to do something next, and when. A heap that forgives: a time that moves later costs nothing until the earlier one
 * has come. Time comes in as an argument.
 */

export interface Due {
    /** When it has something to do; Infinity: never. Set through `DueList.set`. */
    dueMs: number
    /** The time at which it stands in the heap, Infinity when it does not. Of the list. */
    queuedMs: number
}

export class DueList<T extends Due> {
    private readonly times: number[] = []
    private readonly items: T[] = []

    set(item: T, dueMs: number): void {
        item.dueMs = dueMs
        if (dueMs < item.queuedMs) this.push(dueMs, item)
    }

    /** It never has anything to do again. */
    forget(item: T): void {
        item.dueMs = Number.POSITIVE_INFINITY
    }

    /** Not later than the next time at which somebody has something to do. */
    nextMs(): number {
        return this.times.length > 0 ? this.times[0] : Number.POSITIVE_INFINITY
    }

    /** The next one that has something to do at `nowMs`. Its time is Infinity then, until it is set again. */
    take(nowMs: number): T | undefined {
        while (this.times.length > 0 && this.times[0] <= nowMs) {
            const time = this.times[0]
            const item = this.pop()
            // It was put in anew for an earlier time, which has come.
            if (item.queuedMs !== time) continue
            item.queuedMs = Number.POSITIVE_INFINITY
            if (item.dueMs <= nowMs) {
                item.dueMs = Number.POSITIVE_INFINITY
                return item
            }
            // It was put off.
            if (item.dueMs < Number.POSITIVE_INFINITY) this.push(item.dueMs, item)
        }
        return undefined
    }

    private push(time: number, item: T): void {
        const { times, items } = this
        item.queuedMs = time
        let place = times.length
        times.push(time)
        items.push(item)
        while (place > 0) {
            const above = (place - 1) >> 1
            if (times[above] <= time) break
            times[place] = times[above]
            items[place] = items[above]
            place = above
        }
        times[place] = time
        items[place] = item
    }

    private pop(): T {
        const { times, items } = this
        const first = items[0]
        const time = times.pop() as number
        const item = items.pop() as T
        const size = times.length
        if (size === 0) return first
        let place = 0
        for (;;) {
            let child = place * 2 + 1
            if (child >= size) break
            if (child + 1 < size && times[child + 1] < times[child]) child++
            if (times[child] >= time) break
            times[place] = times[child]
            items[place] = items[child]
            place = child
        }
        times[place] = time
        items[place] = item
        return first
    }
}
