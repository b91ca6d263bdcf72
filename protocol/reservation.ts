/**
 * What routing servers say to each other to reserve bandwidth and DSP units along the tree of a session [claims 14, 18, 20].
 * Never imported by the firmware.
 *
 * The messages travel over the links of neighbours, many in one control frame {k: "reserve", list}. All carry the session
 * (`sid`) and the epoch of the attempt (`ep`). Epochs of a session only grow, also over a change of its source: the source
 * begins at the version of the session that the group server told it, times `epochsPerVersion`.
 *
 * Delays are integers of 0.01 ms, bandwidths of kbit/s for each direction: a conference is two-way, so the child holds child ->
 * parent and the parent parent -> child.
 *
 *     down: req, conf, refresh, rerr, tear        up: resv, rack, alive, prune, patherr
 */

import { limits } from "./limits"
import { reasons } from "./reasons"
import { int, list, type Of, oneOf, optional, record, text } from "./shape"

const u32 = 4294967295

export const reservationLimits = {
    /** Destinations of one session: a server has at least one member. */
    destinations: limits.sessionMembers,
    /** Servers of one tree, with those in transit. */
    treeServers: 512,
    /** Servers on the way from the source to a destination. */
    pathServers: 64,
    messagesPerFrame: 64,
    /** 0.01 ms. */
    windowMax: 2000,
    deadlineMaxMs: 2000,
    /** Of one session in each direction of each link, kbit/s. */
    bandwidthMaxKbps: 10_000_000,
    dspUnitsMax: 1_000_000,
    epochsPerVersion: 65536,
    epochMax: 2 ** 48 - 1,
}

const identifier = text(limits.identifierBytes, 1)
const attempt = { sid: identifier, ep: int(1, reservationLimits.epochMax) }
const label = int(1, u32)
const bandwidth = int(1, reservationLimits.bandwidthMaxKbps)

/** Asks for the session's tree [claims 14, 18, 20]. */
export const reqShape = record({
    t: oneOf(["req"]),
    ...attempt,
    /** The source routing server. */
    src: identifier,
    dests: list(
        record({
            id: identifier,
            /** From the source to here at most. */
            maxDelay: int(0, u32),
            /** Units for the members expected here; each link that is mixed there comes on top. */
            dsp: int(0, reservationLimits.dspUnitsMax),
        }),
        reservationLimits.destinations,
        1,
    ),
    bandwidth,
    /** Destinations that the request has passed through [claims 18, 20]. */
    usageCount: int(0, reservationLimits.destinations),
    /** From the source to the receiver, along the way that the request came. */
    delaySoFar: int(0, u32),
    /** How long each server collects requests before it selects its upstream neighbour [claim 20]; 0: the first one at once. */
    window: int(0, reservationLimits.windowMax),
    /** guided: the tree that the source wants, each server but the source with its parent. */
    tree: optional(list(record({ rs: identifier, parent: identifier }), reservationLimits.treeServers)),
    /** After so long notifications no longer count [claim 17]. */
    deadlineMs: int(0, reservationLimits.deadlineMaxMs),
})
export type Req = Of<typeof reqShape>

/**
 * Notifies of reservations [claims 14, 15, 19, 22]. With `label` the sender has become the receiver's child and wants the
 * session's media under that label; without one it only passes on that something is short.
 */
export const resvShape = record({
    t: oneOf(["resv"]),
    ...attempt,
    dests: list(record({ id: identifier, bandwidth: int(0, 1), dsp: int(0, 1) }), reservationLimits.destinations, 1),
    label: optional(label),
})
export type Resv = Of<typeof resvShape>

/** The sender cannot be the receiver's parent. */
export const rerrShape = record({ t: oneOf(["rerr"]), ...attempt, reason: oneOf(reasons) })
export type Rerr = Of<typeof rerrShape>

/** The sender is no child of the receiver, or no longer. */
export const pruneShape = record({ t: oneOf(["prune"]), ...attempt })
/** The attempt is over; everything below is released. */
export const tearShape = record({ t: oneOf(["tear"]), ...attempt })

/** To the source, hop by hop: the tree cannot use, or has lost, the link between two servers. */
export const pathErrShape = record({
    t: oneOf(["patherr"]),
    ...attempt,
    from: identifier,
    to: identifier,
    reason: oneOf(reasons),
})
export type PathErr = Of<typeof pathErrShape>

/** The tree is complete; sent once, then `refresh` each second. `label`: the sender wants the media from below under it. */
const confirmed = {
    ...attempt,
    label,
    /** 1: every destination has answered, media use this tree from now on. */
    active: int(0, 1),
}
export const confShape = record({ t: oneOf(["conf"]), ...confirmed })
export const refreshShape = record({ t: oneOf(["refresh"]), ...confirmed })
export type Conf = Of<typeof confShape> | Of<typeof refreshShape>

/** Answers conf and refresh: the sender still is a child. */
export const rackShape = record({ t: oneOf(["rack"]), ...attempt })

/** Destination `dest` holds what it needs, and so does every server of `via`, which are those that passed this on. */
export const aliveShape = record({
    t: oneOf(["alive"]),
    ...attempt,
    dest: identifier,
    via: list(identifier, reservationLimits.pathServers),
})
export type Alive = Of<typeof aliveShape>

export type ReservationMessage =
    | Req
    | Resv
    | Rerr
    | Of<typeof pruneShape>
    | Of<typeof tearShape>
    | PathErr
    | Conf
    | Of<typeof rackShape>
    | Alive

export const reservationShapes = {
    req: reqShape,
    resv: resvShape,
    rerr: rerrShape,
    prune: pruneShape,
    tear: tearShape,
    patherr: pathErrShape,
    conf: confShape,
    refresh: refreshShape,
    rack: rackShape,
    alive: aliveShape,
}

/** One control frame of a link. The messages are validated one by one, by `t`: one that is wrong does not spoil the others. */
export const reserveShape = record({
    k: oneOf(["reserve"]),
    list: list(record({ t: text(16, 1) }), reservationLimits.messagesPerFrame, 1),
})
export interface Reserve {
    k: "reserve"
    list: ReservationMessage[]
}
