/**
 * The tables of the store, as kysely sees them. Dialect-neutral: texts, integers (64 bits where a time or counter needs
 * them; booleans are 0 and 1) and JSON as text, so that SQLite and PostgreSQL hold the same.
 */

export interface Tables {
    meta: { key: string; value: string }
    endpoints: {
        id: string
        name: string
        secret_hash: string
        created_ms: number
        board: string
        firmware: string
        boot: number
        last_server: string
        history: string
        position: string
        crashes: string
    }
    routing_servers: {
        id: string
        secret_hash: string
        created_ms: number
        ip: string
        link_port: number
        media_port: number
        fingerprint: string
        dsp_units: number
        boot: number
        stored_place: string
        announced_place: string
    }
    groups: { id: string; name: string; created_ms: number }
    group_members: { group_id: string; endpoint_id: string; position: number }
    sessions: {
        id: string
        title: string
        target: string
        booker: string
        start_s: number
        end_s: number
        state: string
        adhoc: number
        source: string
        source_reason: string
        created_ms: number
        ended_ms: number
        end_reason: string
        recording: string
    }
    /** No reference to the endpoint: an invitation outlives it. */
    invitations: {
        session_id: string
        endpoint_id: string
        name: string
        status: string
        server: string
        position: number
    }
    answered: { sender: string; key: string; at_ms: number; request: string; answer: string; position: number }
    static_neighbours: { a: string; b: string }
    audit: {
        seq: number
        at_ms: number
        actor: string
        action: string
        subject: string
        session: string
        outcome: string
        inputs: string
    }
}
