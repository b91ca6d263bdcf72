/**
 * The life of an appliance as two tables: how far it is connected (`linkTable`) and where it stands towards a session
 * (`callTable`). Both regions use the phase numbers of services/appliance.md; the phase that people see is the call's
 * while there is one, else the link's. Owns which action answers an event in a phase; never acts.
 */

export enum Phase {
    Unprovisioned = 0,
    Connecting = 1,
    Refused = 2,
    Registering = 3,
    Choosing = 4,
    Attaching = 5,
    Idle = 6,
    Reminding = 7,
    Joining = 8,
    InSession = 9,
    Leaving = 10,
}

/** The phase as it is shown: a session outlives a cut to the broker, its sound runs past it. */
export function shownPhase(link: Phase, call: Phase): Phase {
    return call > Phase.Idle ? call : link
}

/** Events of the link, in the order of the columns of `linkTable`. */
export enum LinkEvent {
    /** The broker has accepted the connection. */
    Online,
    Offline,
    /** The broker has refused the connection for good: identity or secret. */
    Denied,
    Registered,
    NotRegistered,
    Candidates,
    NoCandidates,
    /** All probes are back. */
    Probed,
    Attached,
    NotAttached,
    /** The routing server does not answer keepalives, or has said bye. */
    ServerLost,
    /** The time to try again has come, or the media engine has appeared. */
    Retry,
}

/**
 * One row a phase, one letter an event:
 *   . ignore                       r register                      c show that it is connecting
 *   d show the refusal             h registered: attach again, or choose
 *   w wait, then retry             p probe the candidates          k ask for candidates
 *   a attach to the best           n attach to the spare, or choose anew after a while
 *   i attached                     t attach again to the same      f forget the server
 *   l server lost: take the spare, or choose
 */
export const linkTable = [
    // on off denied reg notReg cand noCand probed att notAtt lost retry
    "............", // Unprovisioned
    "r.d.......f.", // Connecting
    "r.d.......f.", // Refused
    "rcdhw.....fr", // Registering
    "rcd..pwa..fk", // Choosing
    "rcd.....inl.", // Attaching
    "rcd......tl.", // Idle: attached
]

/** Events of the call, in the order of the columns of `callTable`. */
export enum CallEvent {
    /** A session of the agenda can be joined. */
    Due,
    /** The session of the reminder is over, cancelled, declined, or another's turn. */
    NotDue,
    /** A person joins. */
    Join,
    /** A person leaves, or gives up. */
    Leave,
    /** The link is attached (again), or there is a doubt about the sound: ask the server. */
    Attached,
    Joined,
    /** The join was refused or not answered. */
    NotJoined,
    /** The leave was answered, or nobody did. */
    Left,
    /** The session has ended, or the routing server has taken the appliance out of it. */
    Ended,
    /** The server or the engine is gone, and the sound with it. */
    SoundLost,
}

/**
 *   . ignore             b begin to remind        q stop reminding       j join
 *   s send the join      o open the sound         u not joined           x leave
 *   e end: close         y rejoin by itself       g back to idle
 */
export const callTable = [
    // due notDue join leave att joined notJoined left ended lost
    "b.j.......", // Idle
    ".qj.......", // Reminding
    "...xsou.ey", // Joining
    "...xsou.ey", // InSession
    ".......gg.", // Leaving
]

export function linkAction(link: Phase, event: LinkEvent): string {
    return linkTable[link][event]
}

export function callAction(call: Phase, event: CallEvent): string {
    return callTable[call - Phase.Idle][event]
}
