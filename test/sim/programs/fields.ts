/** Fields of plain classes, which the compiler puts into arrays, in every way that a program reaches them. */

class Inner {
    private hidden = "hidden"
    text = "inner"
    count = 1
    step: (by: number) => number = by => by + 1

    all(): string {
        return `${this.hidden} ${this.text} ${this.count}`
    }
}

class Outer {
    inner = new Inner()
    later: string

    constructor(
        later: string,
        private last: number,
    ) {
        this.later = later
    }

    told(): string {
        const { later, inner } = this
        inner.count++
        inner.count += 10
        const { count, text } = inner
        inner.text = "changed"
        const none: Inner = undefined
        const read = `${later} ${this.last} ${count} ${text} ${inner.all()}`
        return `${read} ${inner.step(4)} ${none?.text} ${this?.inner.count}`
    }
}

console.log(new Outer("later", 7).told())
