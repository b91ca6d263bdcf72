/** The checksum of an Ogg page (RFC 3533, section 6): CRC-32 with polynomial 0x04c11db7, not reflected, starting from 0. */

const polynomial = 0x04c11db7

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << 24
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ polynomial : crc << 1
    return crc >>> 0
})

/** Of a page whose own checksum field is zero. */
export function crc32Ogg(bytes: Uint8Array): number {
    let crc = 0
    for (const byte of bytes) crc = ((crc << 8) ^ table[(crc >>> 24) ^ byte]!) >>> 0
    return crc
}
