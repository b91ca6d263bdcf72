/**
 * Shapes: a message described once, as data. The TypeScript type and the validator both come from the same description,
 * so that they cannot drift apart: a field that is missing here does not exist in the type either.
 *
 * Owns the vocabulary (int, text, flag, oneOf, list, record, optional) and `problemWith`. Never parses, never sends.
 * Compiled by DeviceScript and by Node: no Map, no regular expression, no spread of unknown objects.
 */

import { utf8Bytes } from "./text"

export type ShapeKind = "int" | "text" | "oneOf" | "list" | "record"

/** A description of a value of type `T`. `T` is carried by `example`, which never holds a value at run time. */
export interface Shape<T> {
    kind: ShapeKind
    /** int: smallest value. list: fewest items. text: fewest bytes. */
    min: number
    /** int: largest value. list: most items. text: most UTF-8 bytes. */
    max: number
    /** oneOf: the allowed texts. list: the shape of each item. record: the shape of each field; others are ignored. */
    of: any
    optional: boolean
    example?: T
}

export interface OptionalShape<T> extends Shape<T> {
    optional: true
}

export interface Fields {
    [name: string]: Shape<any>
}

/** The type that a shape describes: `type Book = Of<typeof bookShape>`. */
export type Of<S> = S extends Shape<infer T> ? T : never

type OptionalNames<F> = { [K in keyof F]: F[K] extends OptionalShape<any> ? K : never }[keyof F]
type RecordOf<F> = { [K in Exclude<keyof F, OptionalNames<F>>]: Of<F[K]> } & { [K in OptionalNames<F>]?: Of<F[K]> }

/** An integer between `min` and `max`, both allowed. Only integers cross the wire (the device keeps 7 digits of others). */
export function int(min: number, max: number): Shape<number> {
    return { kind: "int", min, max, of: null, optional: false }
}

/** Text of at most `max` bytes of UTF-8. */
export function text(max: number, min: number = 0): Shape<string> {
    return { kind: "text", min, max, of: null, optional: false }
}

/** One of a fixed set of texts. */
export function oneOf<T extends string>(among: readonly T[]): Shape<T> {
    return { kind: "oneOf", min: 0, max: 0, of: among, optional: false }
}

/** A list of at most `max` items. */
export function list<T>(item: Shape<T>, max: number, min: number = 0): Shape<T[]> {
    return { kind: "list", min, max, of: item, optional: false }
}

export function record<F extends Fields>(fields: F): Shape<RecordOf<F>> {
    return { kind: "record", min: 0, max: 0, of: fields, optional: false }
}

/** A field that may be absent. */
export function optional<T>(shape: Shape<T>): OptionalShape<T> {
    return { kind: shape.kind, min: shape.min, max: shape.max, of: shape.of, optional: true }
}

/**
 * What is wrong with `value`, as "path: what was expected", or "" when it has the shape.
 * Costs time linear in the shape, not in the value: excess fields are not looked at and a list over its limit is refused
 * before its items are read.
 */
export function problemWith(shape: Shape<any>, value: any, path: string = "message"): string {
    switch (shape.kind) {
        case "int":
            if (typeof value !== "number" || Math.round(value) !== value) return `${path}: an integer is needed`
            if (value < shape.min || value > shape.max) return `${path}: must be ${shape.min}..${shape.max}`
            return ""
        case "text":
            if (typeof value !== "string") return `${path}: a text is needed`
            // A character takes at least one byte, so the cheap test goes first.
            if (value.length > shape.max || utf8Bytes(value) > shape.max)
                return `${path}: longer than ${shape.max} bytes`
            if (value.length < shape.min) return `${path}: must not be empty`
            return ""
        case "oneOf":
            if (typeof value !== "string" || (shape.of as string[]).indexOf(value) < 0)
                return `${path}: must be one of ${shape.of.join(", ")}`
            return ""
        case "list": {
            if (!Array.isArray(value)) return `${path}: a list is needed`
            if (value.length > shape.max) return `${path}: more than ${shape.max} items`
            if (value.length < shape.min) return `${path}: fewer than ${shape.min} items`
            for (let i = 0; i < value.length; i++) {
                const problem = problemWith(shape.of, value[i], `${path}[${i}]`)
                if (problem) return problem
            }
            return ""
        }
        case "record": {
            if (typeof value !== "object" || value === null || Array.isArray(value))
                return `${path}: an object is needed`
            const names = Object.keys(shape.of)
            for (let i = 0; i < names.length; i++) {
                const name = names[i]
                const field: Shape<any> = shape.of[name]
                const part = value[name]
                if (part === undefined || part === null) {
                    if (!field.optional) return `${path}.${name}: is missing`
                } else {
                    const problem = problemWith(field, part, `${path}.${name}`)
                    if (problem) return problem
                }
            }
            return ""
        }
    }
}
