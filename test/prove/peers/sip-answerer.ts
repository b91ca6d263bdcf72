/**
 * Just enough of a SIP server (RFC 3261) to answer one call of a softphone: takes its offer, says where the sound goes, ends
 * with it. Only what a proof needs: no registration, no re-INVITE, UDP.
 */

import { createSocket, type Socket } from "node:dgram"

export class SipAnswerer {
    readonly #socket: Socket
    readonly port: number
    /** Where the caller hears and sends from: the address and port of its offer. */
    readonly offered: Promise<{ ip: string; port: number }>

    private constructor(socket: Socket, media: { ip: string; port: number }) {
        this.#socket = socket
        this.port = socket.address().port
        this.offered = new Promise(resolve => {
            socket.on("message", (bytes, { address, port }) => {
                const [head, body = ""] = bytes.toString().split("\r\n\r\n")
                const [line, ...fields] = head.split("\r\n")
                const [method] = line.split(" ")
                if (method === "ACK" || method === "SIP/2.0") return
                if (method === "INVITE")
                    resolve({ ip: /^c=IN IP4 (\S+)/m.exec(body)![1], port: Number(/^m=audio (\d+)/m.exec(body)![1]) })
                socket.send(method === "INVITE" ? accept(fields, media, this.port) : ok(fields), port, address)
            })
        })
    }

    /** `media`: where the caller's sound is to go. */
    static async start(media: { ip: string; port: number }): Promise<SipAnswerer> {
        const socket = createSocket("udp4")
        await new Promise<void>(resolve => socket.bind(0, "127.0.0.1", resolve))
        return new SipAnswerer(socket, media)
    }

    close(): void {
        this.#socket.close()
    }
}

/** The fields of a request that its answer repeats, the To with our tag. */
function echoed(fields: readonly string[]): string[] {
    const isEchoed = (field: string) => /^(via|from|call-id|cseq|record-route)\s*:/i.test(field)
    const to = fields.find(field => /^to\s*:/i.test(field)) ?? ""
    return [...fields.filter(isEchoed), to.includes(";tag=") ? to : `${to};tag=parley`]
}

function ok(fields: readonly string[]): string {
    return ["SIP/2.0 200 OK", ...echoed(fields), "Content-Length: 0", "", ""].join("\r\n")
}

function accept(fields: readonly string[], { ip, port }: { ip: string; port: number }, sipPort: number): string {
    const offer = ["v=0", `o=parley 1 1 IN IP4 ${ip}`, "s=-", `c=IN IP4 ${ip}`, "t=0 0"]
    const sound = [`m=audio ${port} RTP/AVP 0`, "a=rtpmap:0 PCMU/8000", "a=ptime:20", "a=rtcp-mux", "a=sendrecv"]
    const body = [...offer, ...sound, ""].join("\r\n")
    const contact = `Contact: <sip:parley@127.0.0.1:${sipPort}>`
    const head = ["SIP/2.0 200 OK", ...echoed(fields), contact, "Content-Type: application/sdp"]
    return [...head, `Content-Length: ${body.length}`, "", body].join("\r\n")
}
