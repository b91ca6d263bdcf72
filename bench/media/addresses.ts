/** Loopback addresses of the benches of media: the routing server's, and the one that all endpoints share. */
export const serverIp = "127.9.90.11"
export const endpointsIp = "127.9.90.1"
