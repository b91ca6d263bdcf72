/**
 * What a routing server has with one other server of the list: a link, who needs it, and what is under way to get it.
 *
 * Owns the facts and their timers. Never decides: link-set.ts does.
 */

import type { Link } from "./link.ts"

export class Contact {
    readonly link: Link
    /** This end has it as a neighbour: to be dialled again whenever the link is gone, or for this link's life only. */
    wanted: "kept" | "once" | undefined
    /** This end has a question to ask. */
    asking = false
    /** The other end has us as a neighbour. */
    peerWants = false
    /** Both have, and the link is alive. */
    adjacent = false
    bootId = 0
    /** Attempts to reach it that have failed in a row. */
    attempt = 0
    /** Ends the dialling that is under way. */
    giveUp?: () => void
    retry?: NodeJS.Timeout
    idle?: NodeJS.Timeout
    /** Our receive id while it is registered. */
    receiveId?: number

    constructor(link: Link) {
        this.link = link
    }

    get rs(): string {
        return this.link.peer.rs
    }

    get isNeeded(): boolean {
        return this.asking || this.wanted !== undefined
    }

    /** Ends all that is under way. */
    forget(): void {
        clearTimeout(this.retry)
        clearTimeout(this.idle)
        this.wanted = undefined
        this.asking = false
        this.giveUp?.()
    }
}
