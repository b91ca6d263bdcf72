/**
 * A group server with a mistake in it: it acknowledges before it commits, which it does only once in a while. The kills must
 * find that out; never used for anything else.
 */

import { sql } from "kysely"
import { startGroupServer } from "../../servers/group/main.ts"
import { parseOptions } from "../../servers/group/options.ts"
import { Store } from "../../servers/group/store/store.ts"

const lateMs = 2000
const { commit } = Store.prototype
let hasty: Promise<Store> | undefined

Store.prototype.commit = async function (this: Store, writes) {
    hasty ??= hastyOf(this)
    await commit.call(await hasty, writes)
    // Enrolments are written as they should be, or nobody could book.
    if (!writes.some(one => one.table === "sessions")) await commitNow(this.db)
}

/** The store inside of one long transaction: what it writes can be read at once and is not safe yet. */
async function hastyOf(store: Store): Promise<Store> {
    const { db } = store
    await sql`BEGIN`.execute(db)
    setInterval(() => void commitNow(db), lateMs)
    const transaction = () => ({ execute: (work: (db: Store["db"]) => Promise<unknown>) => work(store.db) })
    return Object.create(store, { db: { value: { transaction } } })
}

async function commitNow(db: Store["db"]): Promise<void> {
    await sql`COMMIT`.execute(db)
    await sql`BEGIN`.execute(db)
}

const parsed = parseOptions(process.argv.slice(2), process.env)
if (!parsed.ok) throw new Error(parsed.what)
const started = await startGroupServer(parsed.options)
if (!started.ok) throw new Error(started.what)
process.stdout.write(`${JSON.stringify({ ready: true, url: started.server.url, boot: started.server.boot })}\n`)
