/**
 * Why a request was refused, as a code; what people read is made from it in one place on each side.
 * A refusal names the reason, what is short or wrong, who can fix it and, where one is known, the next feasible time.
 */

export const reasons = [
    "malformed", // the message does not have its shape
    "unsupported", // protocol version or a required feature that the receiver lacks
    "not-allowed", // known, but without the right
    "unknown-endpoint",
    "unknown-group",
    "unknown-session",
    "unknown-server", // no such routing server
    "not-registered", // hello first
    "not-attached", // attach first
    "not-a-member", // of the session
    "not-open", // the session cannot be joined yet
    "ended",
    "in-the-past",
    "too-long",
    "too-far", // further ahead than bookings are kept
    "too-many", // a limit of numbers: bookings, members, requests
    "busy", // a room has another session then
    "no-servers", // no routing server is available
    "no-dsp", // DSP units
    "no-bandwidth",
    "no-path", // between two routing servers
    "draining", // the server takes nobody new
    "unavailable", // the receiver cannot do it now; try again
    "expired", // no answer in time (made by the requester itself)
] as const

export type Reason = (typeof reasons)[number]

/** Who can do something about a refusal. */
export const fixers = ["you", "organiser", "operator", "maker", "nobody"] as const

export type Fixer = (typeof fixers)[number]
