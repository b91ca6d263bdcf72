/**
 * The messages that endpoints exchange with the group server and with routing servers, as shapes and types.
 *
 * Requests carry `id`, unique per sender and boot (see README.md); the answer is `done` or `refused` with
 * `re` = that id, on the topic of the answering party. Times: `Ms` fields are Unix milliseconds, `start`/`end` Unix seconds.
 */

import { limits } from "./limits"
import { fixers, reasons } from "./reasons"
import { int, list, type Of, oneOf, optional, record, text } from "./shape"

// Stands in limits.ts because the firmware must not import this file: it would build all these shapes in its heap.
export { protocolVersion } from "./limits"

const u16 = 65535
const u32 = 4294967295
const maxMs = 32503680000000 // year 3000
const maxSeconds = 32503680000

const requestId = int(1, u32)
const identifier = text(limits.identifierBytes, 1)
const address = text(15, 7)
const port = int(1, u16)

// ---- answers ------------------------------------------------------------------------------------------------------

/** The part that every positive answer has; each verb adds its own fields. */
export const doneShape = record({ re: requestId })

export const refusedShape = record({
    re: requestId,
    reason: oneOf(reasons),
    /** What is short or wrong, for people, at most 64 bytes. */
    what: optional(text(64)),
    who: oneOf(fixers),
    /** The next feasible time, Unix seconds. */
    next: optional(int(0, maxSeconds)),
})
export type Refused = Of<typeof refusedShape>

// ---- endpoint -> group server: out/group/<verb> -----------------------------------------------------------------------

/** How the former life of a device ended, when it ended by itself. */
export const crashShape = record({
    /** exception: nobody caught it. stuck: its watchdog. panic: without a word, which the device only infers. A later firmware may know more. */
    kind: text(limits.identifierBytes, 1),
    text: text(limits.crashTextBytes),
    /** Which life it was. */
    boot: int(0, u32),
    /** How long the device had been up: at the end, or, after a panic, when it was up again. */
    seconds: int(0, u32),
    /** The end of it: a second and what happened then, separated by commas. */
    log: text(limits.crashLogBytes),
})
export type Crash = Of<typeof crashShape>

/** `hello`: registers after every connect. */
export const helloShape = record({
    id: requestId,
    /** Protocol version. */
    v: int(1, 255),
    /** Boot counter of the device. */
    boot: int(1, u32),
    board: text(32, 1),
    /** First 16 hex digits of the SHA-256 of the bytecode, or a version text. */
    fw: text(16, 1),
    caps: list(text(16, 1), 8),
    /** Features that the group server must have. */
    need: optional(list(text(16, 1), 8)),
    /** In the first one that is answered after it. */
    crash: optional(crashShape),
})
export type Hello = Of<typeof helloShape>
export const helloDoneShape = record({ re: requestId, nowMs: int(0, maxMs), name: text(limits.nameBytes) })
export type HelloDone = Of<typeof helloDoneShape>

/** `time`: the device keeps an offset; its error is at most half of the round trip plus drift since. */
export const timeShape = record({ id: requestId })
export const timeDoneShape = record({ re: requestId, nowMs: int(0, maxMs) })
export type TimeDone = Of<typeof timeDoneShape>

/** `candidates`: routing servers worth probing, best guess first. */
export const candidatesShape = record({ id: requestId })
export const candidateShape = record({ rs: identifier, ip: address, port, load: int(0, 100) })
export type Candidate = Of<typeof candidateShape>
export const candidatesDoneShape = record({ re: requestId, list: list(candidateShape, limits.candidates) })
export type CandidatesDone = Of<typeof candidatesDoneShape>

/** `directory`: groups and rooms that this endpoint may call, in pages. */
export const directoryShape = record({ id: requestId, from: int(0, u16) })
export const directoryEntryShape = record({
    id: identifier,
    name: text(limits.nameBytes),
    kind: oneOf(["group", "room"]),
})
export type DirectoryEntry = Of<typeof directoryEntryShape>
export const directoryDoneShape = record({
    re: requestId,
    list: list(directoryEntryShape, limits.directoryPage),
    /** Where the next page starts; absent on the last. */
    next: optional(int(0, u16)),
})
export type DirectoryDone = Of<typeof directoryDoneShape>

/** `book`: a session with a group or room. Repeating the same `id` in the same boot books once. */
export const bookShape = record({
    id: requestId,
    boot: int(1, u32),
    /** A group or an endpoint. */
    with: identifier,
    /** Unix seconds; 0 is now. */
    start: int(0, maxSeconds),
    minutes: int(limits.sessionMinutesMin, limits.sessionMinutesMax),
    title: optional(text(limits.titleBytes)),
})
export type Book = Of<typeof bookShape>
export const bookDoneShape = record({
    re: requestId,
    sid: identifier,
    start: int(0, maxSeconds),
    end: int(0, maxSeconds),
})
export type BookDone = Of<typeof bookDoneShape>

/** `cancel` (the booker ends a session) and `decline` (a member will not come): both answered by plain `done`. */
export const sessionRequestShape = record({ id: requestId, sid: identifier })
export type SessionRequest = Of<typeof sessionRequestShape>

// ---- group server -> endpoint: in/group/<verb> --------------------------------------------------------------------------

export const sessionStates = ["scheduled", "opening", "open", "ended"] as const
export type SessionState = (typeof sessionStates)[number]

export const agendaItemShape = record({
    sid: identifier,
    title: text(limits.titleBytes),
    /** Name of who booked it. */
    from: text(limits.nameBytes),
    /** 1 when this endpoint booked it and may cancel it. */
    mine: int(0, 1),
    start: int(0, maxSeconds),
    end: int(0, maxSeconds),
    state: oneOf(sessionStates),
})
export type AgendaItem = Of<typeof agendaItemShape>

/** `agenda`: the next sessions of this endpoint, whole, after hello and on every change. A lower `n` is old news. */
export const agendaShape = record({
    n: int(0, u32),
    nowMs: int(0, maxMs),
    list: list(agendaItemShape, limits.agendaSessions),
    /** How many more there are that did not fit. */
    more: int(0, u16),
})
export type Agenda = Of<typeof agendaShape>

// ---- endpoint -> routing server: out/rs/<rs>/<verb> -----------------------------------------------------------------------

/** `attach`: makes this routing server the endpoint's own. Replaces an attachment of an earlier boot. */
export const attachShape = record({ id: requestId, boot: int(1, u32) })
export type Attach = Of<typeof attachShape>
export const attachDoneShape = record({ re: requestId, load: int(0, 100) })
export type AttachDone = Of<typeof attachDoneShape>

/** `detach`: answered by `done`, also when it was not attached. */
export const detachShape = record({ id: requestId })

/** `join`: ip and port are where the endpoint's media engine sends from and listens. */
export const joinShape = record({
    id: requestId,
    sid: identifier,
    ip: address,
    port,
    /** What its media engine has, the best first: "opus,pcmu". Absent: PCMU. */
    codecs: optional(text(32, 1)),
})
export type Join = Of<typeof joinShape>
export const joinDoneShape = record({
    re: requestId,
    sid: identifier,
    /** Where to send RTP. */
    ip: address,
    port,
    /** The SSRC to send with: it names the leg. */
    ssrc: int(1, u32),
    /** RTP payload type; 0 is PCMU, 111 Opus. */
    pt: int(0, 127),
    /** Packet time in milliseconds. */
    frameMs: int(10, 60),
    /** People (endpoints) in the session, this one included. */
    people: int(1, limits.sessionMembers),
    /**
     * Base64 of two SRTP master keys, each with its salt (16 and 14 bytes): towards the server, then towards the endpoint. Fresh in
     * the answer to each join, so that no packet of a former life can be played again. Never shown, never kept.
     */
    key: text(80, 80),
})
export type JoinDone = Of<typeof joinDoneShape>

/** `leave`: answered by `done`, also when it was not in the session. Uses `sessionRequestShape`. */

// ---- routing server -> endpoint: in/rs/<rs>/<verb> ------------------------------------------------------------------------

/** `roster`: on each change of who is in the session, who speaks, whether it is recorded, and how good the leg is. Whole. */
export const rosterShape = record({
    sid: identifier,
    people: int(0, limits.sessionMembers),
    /** Who speaks, or spoke last. */
    speaker: optional(text(limits.nameBytes, 1)),
    /** 1: what is said is being recorded. */
    rec: optional(int(0, 1)),
    /** Per cent of the leg's packets that get lost, in the worse direction; absent while it is too little to speak of. */
    loss: optional(int(1, 100)),
})
export type Roster = Of<typeof rosterShape>

/** `bye`: the routing server has removed the endpoint from a session, or (without sid) from itself. */
export const byeShape = record({ sid: optional(identifier), reason: oneOf(reasons) })
export type Bye = Of<typeof byeShape>

// ---- endpoint state (retained; the Will is the same with on = 0) ------------------------------------------------------------

export const endpointStateShape = record({
    boot: int(1, u32),
    on: int(0, 1),
    /** Attached routing server. */
    rs: optional(identifier),
    /** Session it is in. */
    sid: optional(identifier),
    muted: optional(int(0, 1)),
})
export type EndpointState = Of<typeof endpointStateShape>
