export { datagramAt, datagramBytesMax, keyAt, tagDatagram } from "./link-tag"
export { addToSum, clearSum, frameAt, frameSamplesMax, mixedAt, power, takeSum, takeSumWithout } from "./mix"
export { decodePcmu, encodePcmu, history, middlesAt, payloadAt, soundAt, tapsAt, workAt } from "./pcmu"
export { digestAt, hmacSha1, hmacSha1Key, messageAt, messageBytesMax, statesAt } from "./sha1"
