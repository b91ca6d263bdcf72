/**
 * Every limit of the system, in one place, enforced at both ends. Units last in the names.
 * An enum and not an object: DeviceScript then writes the numbers into the program, where an object takes 450 bytes of heap.
 */

/** Told by both sides in their first message. */
export const protocolVersion = 1

// biome-ignore-start lint/suspicious/noDuplicateEnumValues: limits that happen to be equal
export enum limits {
    /** Largest MQTT payload towards an appliance that a server may send. */
    messageToApplianceBytes = 1024,
    /** Largest MQTT packet payload on an appliance's topics that the broker lets pass. */
    brokerApplianceBytes = 2048,
    /** Largest MQTT payload on any other topic. */
    brokerMessageBytes = 65536,
    /** QoS 1 messages on their way to or from one client without an acknowledgement. */
    unacknowledged = 8,
    topicBytes = 128,
    keepaliveSeconds = 10,

    identifierBytes = 24,
    /** Names that people read; a screen line is 20 characters. */
    nameBytes = 48,
    titleBytes = 48,
    secretBytes = 64,

    /** Sessions of an agenda that an appliance keeps. */
    agendaSessions = 5,
    directoryPage = 8,
    candidates = 8,
    probesPerCandidate = 3,
    probeTimeoutMs = 400,

    sessionMinutesMin = 5,
    sessionMinutesMax = 24 * 60,
    sessionMembers = 64,
    sessionsPerEndpoint = 500,
    bookAheadDays = 400,
    /** A session can be joined this long before its start. */
    openingSeconds = 300,

    /** A request without an answer has expired after this time. */
    requestTimeoutMs = 5000,

    /** Of the report how a life of a device ended: its text, and the end of its log. */
    crashTextBytes = 224,
    crashLogBytes = 288,

    /** Keepalives to the routing server in use. */
    watchIntervalMs = 200,
    watchMissed = 3,
}
// biome-ignore-end lint/suspicious/noDuplicateEnumValues: as above
