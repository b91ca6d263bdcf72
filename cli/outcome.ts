/**
 * What a command comes to: a value for standard output, or a failure that says what is wrong, who can fix it and what to
 * type next. Owns the exit codes. Never prints.
 */

export const exitCodes = {
    ok: 0,
    /** The thing asked for was tried and failed, or was refused with a reason. */
    failed: 1,
    /** The command line itself is wrong. */
    usage: 2,
    /** No system runs in this state folder, or the part that is needed cannot be reached. */
    notRunning: 3,
    /** It was tried, and no answer or no change came in time. */
    timeout: 4,
    /** It was asked whether something fits, and it does not. */
    doesNotFit: 5,
    interrupted: 130,
} as const

export type ExitName = Exclude<keyof typeof exitCodes, "ok">

export interface Failure {
    ok: false
    exit: ExitName
    /** A word for programs, stable across versions. */
    code: string
    /** One sentence for people. */
    what: string
    /** Who can do something about it: you, organiser, operator, maker, nobody. */
    who?: string
    /** The command or act that most likely helps. */
    next?: string
    /** More that a program may want, and the last log lines of a part that died. */
    details?: Record<string, unknown>
}

export interface Success<T> {
    ok: true
    value: T
}

export type Outcome<T> = Success<T> | Failure

export function success<T>(value: T): Success<T> {
    return { ok: true, value }
}

export function failure(exit: ExitName, code: string, what: string, more: Partial<Failure> = {}): Failure {
    return { ok: false, exit, code, what, ...more }
}

export function usage(what: string, next?: string): Failure {
    return failure("usage", "usage", what, { who: "you", next })
}

/** The text of something caught, without a stack. */
export function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error)
}
