/** Memory that is used from its beginning: the views of so many bytes of it are kept, as the same few lengths come again and again. */
export class Beginnings {
    private readonly views: (Buffer | undefined)[] = []

    constructor(readonly whole: Buffer) {}

    first(bytes: number): Buffer {
        const known = this.views[bytes]
        if (known) return known
        const made = this.whole.subarray(0, bytes)
        this.views[bytes] = made
        return made
    }
}
