/**
 * Just enough of WebAssembly's binary format to write one function with loops, 32- and 64-bit integers and memory.
 *
 * Owns the encoding (WebAssembly core specification 1.0, chapter 5). Never knows what is computed.
 */

/** Instructions as bytes; an expression leaves one value on the stack. */
export type Code = readonly number[]

const join = (...parts: Code[]): Code => parts.flat()

function unsigned(value: number): Code {
    const bytes: number[] = []
    let rest = value
    do {
        const low = rest & 0x7f
        rest >>>= 7
        bytes.push(rest > 0 ? low | 0x80 : low)
    } while (rest > 0)
    return bytes
}

/** Signed LEB128. */
function signed(value: bigint): Code {
    const bytes: number[] = []
    for (let rest = value; ; ) {
        const low = Number(rest & 0x7fn)
        rest >>= 7n
        const isLast = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)
        bytes.push(isLast ? low : low | 0x80)
        if (isLast) return bytes
    }
}

const binary = (opcode: number) => (left: Code, right: Code) => join(left, right, [opcode])

export const i32 = {
    type: 0x7f,
    of: (value: number): Code => join([0x41], signed(BigInt(value | 0))),
    add: binary(0x6a),
    sub: binary(0x6b),
    and: binary(0x71),
    xor: binary(0x73),
    rotateLeft: binary(0x77),
    isZero: (value: Code): Code => join(value, [0x45]),
    load: (at: Code, offset = 0): Code => join(at, [0x28, 2], unsigned(offset)),
}

export const i64 = {
    type: 0x7e,
    of: (value: bigint): Code => join([0x42], signed(BigInt.asIntN(64, value))),
    add: binary(0x7c),
    sub: binary(0x7d),
    multiply: binary(0x7e),
    and: binary(0x83),
    or: binary(0x84),
    xor: binary(0x85),
    shiftLeft: binary(0x86),
    shiftRight: binary(0x88),
    isZero: (value: Code): Code => join(value, [0x50]),
    isLess: binary(0x54),
    of32: (value: Code): Code => join(value, [0xad]),
    load: (at: Code, offset = 0): Code => join(at, [0x29, 3], unsigned(offset)),
    store: (at: Code, value: Code, offset = 0): Code => join(at, value, [0x37, 3], unsigned(offset)),
}

/** The locals of the function: parameters first. */
export class Locals {
    readonly #types: number[] = []
    readonly #parameters: number

    /** `parameters` of 32 bits each. */
    constructor(parameters: number) {
        this.#parameters = parameters
    }

    get parameters(): number {
        return this.#parameters
    }

    add(type: number): Local {
        this.#types.push(type)
        return new Local(this.#parameters + this.#types.length - 1)
    }

    list(count: number, type: number): Local[] {
        return Array.from({ length: count }, () => this.add(type))
    }

    encoded(): Code {
        return join(unsigned(this.#types.length), ...this.#types.map(type => [1, type]))
    }
}

export class Local {
    readonly get: Code
    readonly #index: number

    constructor(index: number) {
        this.#index = index
        this.get = join([0x20], unsigned(index))
    }

    set(value: Code): Code {
        return join(value, [0x21], unsigned(this.#index))
    }
}

/** Repeats `body` while `condition` (32 bits) holds; at least once. */
export function repeatWhile(body: Code, condition: Code): Code {
    return join([0x03, 0x40], body, condition, [0x0d, 0, 0x0b])
}

/** A module with one page of memory, `memory`, and one function, `run`, that returns 32 bits. */
export function moduleOf(locals: Locals, pages: number, body: Code): Uint8Array<ArrayBuffer> {
    const section = (id: number, content: Code) => join([id], unsigned(content.length), content)
    const name = (text: string) => join([text.length], [...Buffer.from(text)])
    const code = join(locals.encoded(), body, [0x0b])
    const parameters = Array.from({ length: locals.parameters }, () => i32.type)
    return Uint8Array.from(
        join(
            [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
            section(1, join([1, 0x60, parameters.length], parameters, [1, i32.type])),
            section(3, [1, 0]),
            section(5, join([1, 0], unsigned(pages))),
            section(7, join([2], name("memory"), [2, 0], name("run"), [0, 0])),
            section(10, join([1], unsigned(code.length), code)),
        ),
    )
}
