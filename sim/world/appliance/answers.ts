/** What played servers answer an appliance in every room: the time, whom it can call, and that a booking was taken. */

// biome-ignore lint/suspicious/noExplicitAny: messages of any kind, as played by whoever runs the room
type Body = Record<string, any>

/** By verb. `nowMs`: the group server's time. */
export function usualAnswers(nowMs: () => number) {
    const seconds = () => Math.floor(nowMs() / 1000)
    return {
        time: () => ({ nowMs: nowMs() }),
        directory: () => ({
            list: [
                { id: "team", name: "Team", kind: "group" },
                { id: "board-b", name: "Room B", kind: "room" },
            ],
        }),
        book: (body: Body) => ({ sid: "s1", start: body.start || seconds(), end: seconds() + 1800 }),
    }
}
