/**
 * The few calls of the C library that Node has no way to: many datagrams in one call, and a wait that is exact to microseconds.
 *
 * Owns the binding. Never keeps memory: whoever gives an address keeps what is there.
 */

import type { LibraryHandle } from "koffi"
import { loadNative } from "../native.ts"

export interface Libc {
    socket(domain: number, type: number, protocol: number): number
    bind(fd: number, address: Uint8Array, bytes: number): number
    getsockname(fd: number, address: Uint8Array, bytes: Uint8Array): number
    setsockopt(fd: number, level: number, option: number, value: Uint8Array, bytes: number): number
    /** `messages`: the address of so many `mmsghdr`. */
    recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: 0): number
    sendmmsg(fd: number, messages: number, count: number, flags: number): number
    /** Addresses of `pollfd` and `timespec`. */
    ppoll(sockets: number, count: number, timeout: number, mask: 0): number
    /** Policy of the calling thread: 0 is the ordinary one. */
    scheduler(): number
    /** Of the calling thread: `attributes` is the address of a `sched_attr`. -1: not granted, or unknown to this system. */
    setSchedule(attributes: number): number
    prctl(option: number, a: number, b: number, c: number, d: number): number
    eventfd(initial: number, flags: number): number
    read(fd: number, bytes: Uint8Array, count: number): number
    write(fd: number, bytes: Uint8Array, count: number): number
    close(fd: number): number
    /** Of the last call that failed. */
    errno(): number
    addressOf(bytes: Uint8Array): number
    /** Such as "EADDRINUSE". */
    nameOf(errno: number): string
}

/** Undefined: not on this system. */
export function loadLibc(): Libc | undefined {
    const native = loadNative()
    if (!native) return undefined
    const { koffi, library, addressOf } = native
    const names = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]))
    return {
        ...bind(library),
        addressOf,
        errno: () => koffi.errno(),
        nameOf: errno => names.get(errno) ?? `error ${errno}`,
    }
}

function bind(library: LibraryHandle): Omit<Libc, "addressOf" | "errno" | "nameOf"> {
    const getScheduler = library.func("int sched_getscheduler(int thread)")
    // Older C libraries have no name for it.
    const syscall = library.func(
        "intptr_t syscall(intptr_t number, intptr_t thread, uintptr_t attributes, intptr_t flags)",
    )
    return {
        socket: library.func("int socket(int domain, int type, int protocol)"),
        bind: library.func("int bind(int fd, void *address, uint bytes)"),
        getsockname: library.func("int getsockname(int fd, void *address, void *bytes)"),
        setsockopt: library.func("int setsockopt(int fd, int level, int option, void *value, uint bytes)"),
        recvmmsg: library.func("int recvmmsg(int fd, uintptr_t messages, uint count, int flags, uintptr_t timeout)"),
        sendmmsg: library.func("int sendmmsg(int fd, uintptr_t messages, uint count, int flags)"),
        ppoll: library.func("int ppoll(uintptr_t sockets, size_t count, uintptr_t timeout, uintptr_t mask)"),
        prctl: library.func("int prctl(int option, size_t a, size_t b, size_t c, size_t d)"),
        scheduler: () => getScheduler(0),
        setSchedule: attributes => syscall(process.arch === "x64" ? 314 : 274, 0, attributes, 0),
        eventfd: library.func("int eventfd(uint initial, int flags)"),
        read: library.func("intptr_t read(int fd, void *bytes, size_t count)"),
        write: library.func("intptr_t write(int fd, void *bytes, size_t count)"),
        close: library.func("int close(int fd)"),
    }
}

export const errnos = { again: 11, interrupted: 4, noBuffers: 105 } as const
export const sockets = {
    family: 2,
    datagram: 2,
    nonBlocking: 0o4000,
    closeOnExec: 0o2000000,
    dontWait: 0x40,
    pollIn: 1,
    level: 1,
    receiveBuffer: 8,
    receiveBufferForce: 33,
    sendBuffer: 7,
    sendBufferForce: 32,
    levelIp: 0,
    typeOfService: 1,
} as const
/** PR_SET_TIMERSLACK. */
export const setTimerSlack = 29
