/**
 * The part of a received value that its shape names: what a sender added or set to null is gone before anything is kept.
 */

import type { Shape } from "../../../protocol/shape.ts"

/** `value` must have the shape already (`problemWith` gave ""). */
export function pick<T>(shape: Shape<T>, value: unknown): T {
    switch (shape.kind) {
        case "list":
            return (value as unknown[]).map(item => pick(shape.of as Shape<unknown>, item)) as T
        case "record": {
            const picked: Record<string, unknown> = {}
            for (const [name, field] of Object.entries(shape.of as Record<string, Shape<unknown>>)) {
                const part = (value as Record<string, unknown>)[name]
                if (part !== undefined && part !== null) picked[name] = pick(field, part)
            }
            return picked as T
        }
        default:
            return value as T
    }
}
