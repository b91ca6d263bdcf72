/**
 * Which parts a system on one machine has, and where each listens. Every part has its own IP address [claim 2].
 * Pure: numbers in, addresses out.
 *
 *     <network>.1.1   broker           <network>.1.11..  routing servers
 *     <network>.1.2   group server     <network>.2.1..   boards (media engine and MQTT source address)
 *     <network>.1.3   simulator control API
 */

export const layoutLimits = { boards: 24, servers: 16 }

export interface ServerPlace {
    id: string
    ip: string
    linkPort: number
    mediaPort: number
    controlPort: number
    dspUnits: number
}

export interface BoardPlace {
    id: string
    name: string
    ip: string
    /** One-way delay that the virtual network adds from this board to each address. */
    delaysMs: Record<string, number>
}

export interface Layout {
    broker: { host: string; port: number }
    group: { host: string; port: number }
    sim: { host: string; port: number }
    servers: ServerPlace[]
    boards: BoardPlace[]
}

const roomNames = ["Board room", "Studio", "Kitchen", "Library", "Workshop", "Garden", "Attic", "Terrace"]

/** Delay to the routing server that stands near the board, and the step to each further one. */
const nearDelayMs = 1
const farDelayMs = 10
const farStepMs = 3

export function planLayout(network: string, boards: number, servers: number): Layout {
    const serverPlaces: ServerPlace[] = []
    for (let i = 0; i < servers; i++)
        serverPlaces.push({
            id: `rs-${letter(i)}`,
            ip: `${network}.1.${11 + i}`,
            linkPort: 7400,
            mediaPort: 7500,
            controlPort: 7600,
            dspUnits: 100,
        })
    const boardPlaces: BoardPlace[] = []
    for (let i = 0; i < boards; i++) {
        const delaysMs: Record<string, number> = {}
        for (let s = 0; s < servers; s++) {
            const away = (s - (i % servers) + servers) % servers
            delaysMs[serverPlaces[s].ip] = away === 0 ? nearDelayMs : farDelayMs + farStepMs * away
        }
        const round = Math.floor(i / roomNames.length)
        const name = roomNames[i % roomNames.length] + (round > 0 ? ` ${round + 1}` : "")
        boardPlaces.push({ id: `board-${letter(i)}`, name, ip: `${network}.2.${i + 1}`, delaysMs })
    }
    return {
        broker: { host: `${network}.1.1`, port: 1883 },
        group: { host: `${network}.1.2`, port: 8080 },
        sim: { host: `${network}.1.3`, port: 8090 },
        servers: serverPlaces,
        boards: boardPlaces,
    }
}

function letter(index: number): string {
    return String.fromCharCode(97 + index)
}
