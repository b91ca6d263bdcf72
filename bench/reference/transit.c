/*
 * Two things for bench/media/transit.ts:
 *
 *   transit forward IP PORT  FROM-IP FROM-PORT ID KEY LABEL  TO-IP TO-PORT ID KEY LABEL
 *       What a transit server does with a packet, in C: receive (recvmmsg), find the link, replay window, verify the tag,
 *       another label, header and tag, send (sendmmsg). Runs until it is killed.
 *   transit drive TARGET-IP TARGET-PORT  A-IP A-PORT ID KEY LABEL  C-IP C-PORT ID KEY
 *       Both neighbours of a transit server: hellos on both links, packets from A under LABEL, what arrives at C. One line of
 *       standard input, "PPS MS", is one run; its line of standard output is "sent received p50us p99us maxus".
 *
 * The tag is that of AEAD_CHACHA20_POLY1305 (RFC 8439), nothing encrypted, the header as nonce; see protocol/link.ts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef unsigned __int128 u128;
enum { HEADER = 12, TAG = 16, BATCH = 64, ROOM = 2048, MEDIA = 172 };

static uint32_t le32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t le64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }

#define ROT(v, n) (((v) << (n)) | ((v) >> (32 - (n))))
#define QUARTER(a, b, c, d)                                                                                            \
    a += b; d = ROT(d ^ a, 16); c += d; b = ROT(b ^ c, 12);                                                            \
    a += b; d = ROT(d ^ a, 8);  c += d; b = ROT(b ^ c, 7);

static void one_time_key(const uint8_t *key, const uint8_t *nonce, uint8_t out[32]) {
    uint32_t s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];
    for (int i = 0; i < 8; i++) s[4 + i] = le32(key + 4 * i);
    for (int i = 0; i < 3; i++) s[13 + i] = le32(nonce + 4 * i);
    memcpy(x, s, sizeof x);
    for (int i = 0; i < 10; i++) {
        QUARTER(x[0], x[4], x[8], x[12]) QUARTER(x[1], x[5], x[9], x[13])
        QUARTER(x[2], x[6], x[10], x[14]) QUARTER(x[3], x[7], x[11], x[15])
        QUARTER(x[0], x[5], x[10], x[15]) QUARTER(x[1], x[6], x[11], x[12])
        QUARTER(x[2], x[7], x[8], x[13]) QUARTER(x[3], x[4], x[9], x[14])
    }
    for (int i = 0; i < 8; i++) { uint32_t v = x[i] + s[i]; memcpy(out + 4 * i, &v, 4); }
}

/* Poly1305 in three limbs of 44 bits. */
static void tag_of(const uint8_t *key, const uint8_t *data, size_t length, uint8_t tag[16]) {
    uint8_t k[32];
    one_time_key(key, data, k);
    const uint64_t m44 = 0xfffffffffff, m42 = 0x3ffffffffff;
    uint64_t t0 = le64(k), t1 = le64(k + 8), h0 = 0, h1 = 0, h2 = 0, c;
    uint64_t r0 = t0 & 0xffc0fffffff, r1 = ((t0 >> 44) | (t1 << 20)) & 0xfffffc0ffff, r2 = (t1 >> 24) & 0x00ffffffc0f;
    uint64_t s1 = r1 * 20, s2 = r2 * 20;
    uint8_t last[16];
    for (size_t at = 0; at <= length + 15; at += 16) {
        const uint8_t *p = data + at;
        if (at >= length) { /* the lengths */
            uint64_t lengths[2] = {length, 0};
            memcpy(last, lengths, 16);
            p = last;
        } else if (at + 16 > length) {
            memset(last, 0, 16);
            memcpy(last, p, length - at);
            p = last;
        }
        t0 = le64(p); t1 = le64(p + 8);
        h0 += t0 & m44;
        h1 += ((t0 >> 44) | (t1 << 20)) & m44;
        h2 += ((t1 >> 24) & m42) | (1ull << 40);
        u128 d0 = (u128)h0 * r0 + (u128)h1 * s2 + (u128)h2 * s1;
        u128 d1 = (u128)h0 * r1 + (u128)h1 * r0 + (u128)h2 * s2;
        u128 d2 = (u128)h0 * r2 + (u128)h1 * r1 + (u128)h2 * r0;
        c = d0 >> 44; h0 = (uint64_t)d0 & m44;
        d1 += c; c = d1 >> 44; h1 = (uint64_t)d1 & m44;
        d2 += c; c = d2 >> 42; h2 = (uint64_t)d2 & m42;
        h0 += c * 5; c = h0 >> 44; h0 &= m44; h1 += c;
        if (at >= length) break;
    }
    c = h1 >> 44; h1 &= m44; h2 += c; c = h2 >> 42; h2 &= m42; h0 += c * 5; c = h0 >> 44; h0 &= m44; h1 += c;
    c = h1 >> 44; h1 &= m44; h2 += c; c = h2 >> 42; h2 &= m42; h0 += c * 5; c = h0 >> 44; h0 &= m44; h1 += c;
    uint64_t g0 = h0 + 5, g1, g2;
    c = g0 >> 44; g0 &= m44; g1 = h1 + c; c = g1 >> 44; g1 &= m44; g2 = h2 + c - (1ull << 42);
    uint64_t mask = (g2 >> 63) - 1;
    h0 = (h0 & ~mask) | (g0 & mask); h1 = (h1 & ~mask) | (g1 & mask); h2 = (h2 & ~mask) | (g2 & mask);
    u128 sum = ((u128)(h0 | (h1 << 44))) | ((u128)((h1 >> 20) | (h2 << 24)) << 64);
    sum += (u128)le64(k + 16) | ((u128)le64(k + 24) << 64);
    memcpy(tag, &sum, 16);
}

static int is_right(const uint8_t *key, const uint8_t *datagram, size_t length) {
    uint8_t tag[TAG], difference = 0;
    tag_of(key, datagram, length - TAG, tag);
    for (int i = 0; i < TAG; i++) difference |= tag[i] ^ datagram[length - TAG + i];
    return difference == 0;
}

typedef struct { struct sockaddr_in address; uint32_t id, label; uint8_t key[32]; uint64_t sequence; } link_t;

static void put32(uint8_t *p, uint32_t v) { v = htonl(v); memcpy(p, &v, 4); }
static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return ntohl(v); }

static void seal(link_t *link, uint8_t *datagram, size_t length, int kind) {
    uint64_t sequence = ++link->sequence;
    datagram[0] = 0x60 | kind;
    datagram[1] = 2;
    put32(datagram + 2, link->id);
    for (int i = 0; i < 6; i++) datagram[6 + i] = sequence >> (40 - 8 * i);
    tag_of(link->key, datagram, length - TAG, datagram + length - TAG);
}

static void hex(const char *text, uint8_t *out) { for (int i = 0; i < 32; i++) sscanf(text + 2 * i, "%2hhx", out + i); }

static struct sockaddr_in at(const char *ip, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int bound(struct sockaddr_in a) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) { perror("bind"); exit(1); }
    return fd;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint8_t buffers[BATCH][ROOM];
static struct sockaddr_in addresses[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void prepare(void) {
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers[i], ROOM};
        messages[i].msg_hdr = (struct msghdr){&addresses[i], sizeof addresses[i], &vectors[i], 1, 0, 0, 0};
    }
}

/* ---- forward ---- */

static uint64_t highest, window[17];

static int is_fresh(uint64_t s) {
    if (s == 0 || s + 1024 <= highest) return 0;
    return s > highest || !(window[(s / 64) % 17] >> (s % 64) & 1);
}

static void accept_sequence(uint64_t s) {
    if (s > highest) {
        for (uint64_t b = highest / 64 + 1, n = 0; b <= s / 64 && n < 17; b++, n++) window[b % 17] = 0;
        highest = s;
    }
    window[(s / 64) % 17] |= 1ull << (s % 64);
}

static void forward(char **a) {
    struct sockaddr_in own = at(a[0], a[1]);
    link_t from = {.address = at(a[2], a[3]), .id = strtoul(a[4], 0, 10), .label = strtoul(a[6], 0, 10)};
    link_t to = {.address = at(a[7], a[8]), .id = strtoul(a[9], 0, 10), .label = strtoul(a[11], 0, 10)};
    hex(a[5], from.key);
    hex(a[10], to.key);
    int fd = bound(own);
    struct mmsghdr out[BATCH];
    struct iovec out_vectors[BATCH];
    prepare();
    puts("{\"ready\":true}");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
        int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, 0), sending = 0;
        for (int i = 0; i < got; i++) {
            uint8_t *d = buffers[i];
            unsigned length = messages[i].msg_len;
            if (length < HEADER + 4 + TAG || d[0] != 0x64 || d[1] != 2 || get32(d + 2) != from.id) continue;
            if (addresses[i].sin_port != from.address.sin_port || addresses[i].sin_addr.s_addr != from.address.sin_addr.s_addr)
                continue;
            uint64_t sequence = 0;
            for (int b = 0; b < 6; b++) sequence = sequence << 8 | d[6 + b];
            if (!is_fresh(sequence) || !is_right(from.key, d, length)) continue;
            accept_sequence(sequence);
            if (get32(d + HEADER) != from.label) continue;
            put32(d + HEADER, to.label);
            seal(&to, d, length, 4);
            out_vectors[sending] = (struct iovec){d, length};
            out[sending] = (struct mmsghdr){{&to.address, sizeof to.address, &out_vectors[sending], 1, 0, 0, 0}, 0};
            sending++;
        }
        for (int done = 0; done < sending;) {
            int n = sendmmsg(fd, out + done, sending - done, 0);
            if (n < 0 && errno != EAGAIN && errno != ENOBUFS) break;
            if (n > 0) done += n;
        }
    }
}

/* ---- drive ---- */

static link_t a_link, c_link;
static struct sockaddr_in target;
static int a_socket, c_socket;
static uint32_t hello_number;
static uint64_t next_hello;

static void hello(void) {
    uint64_t now = now_ns();
    if (now < next_hello) return;
    next_hello = now + 50000000;
    hello_number++;
    link_t *links[] = {&a_link, &c_link};
    int sockets[] = {a_socket, c_socket};
    for (int i = 0; i < 2; i++) {
        uint8_t d[HEADER + 20 + TAG] = {0};
        put32(d + HEADER, 1);
        put32(d + HEADER + 4, hello_number);
        put32(d + HEADER + 8, (uint32_t)(now / 1000));
        seal(links[i], d, sizeof d, 1);
        sendto(sockets[i], d, sizeof d, 0, (struct sockaddr *)&target, sizeof target);
    }
}

static uint32_t *delays;
static size_t delays_room = 1 << 24;
static uint64_t received;

/* What has come to C; what comes to A (hellos) is thrown away. */
static int drain(void) {
    for (int i = 0; i < BATCH; i++) { messages[i].msg_hdr.msg_namelen = sizeof addresses[i]; vectors[i].iov_len = ROOM; }
    int got = recvmmsg(c_socket, messages, BATCH, MSG_DONTWAIT, 0);
    uint64_t now = now_ns();
    for (int i = 0; i < got; i++) {
        if (buffers[i][0] != 0x64 || get32(buffers[i] + 2) == 0) continue;
        if (received < delays_room) delays[received] = (now - le64(buffers[i] + HEADER + 4 + 12)) / 100;
        received++;
    }
    uint8_t one[ROOM];
    while (recv(a_socket, one, sizeof one, MSG_DONTWAIT) > 0);
    return got;
}

static int by_size(const void *x, const void *y) {
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static void run(double pps, double ms) {
    enum { LENGTH = HEADER + 4 + MEDIA + TAG };
    static uint8_t out_buffers[BATCH][LENGTH];
    struct mmsghdr out[BATCH];
    struct iovec out_vectors[BATCH];
    while (drain() > 0);
    received = 0;
    uint64_t start = now_ns(), sent = 0, total = pps * ms / 1000;
    while (sent < total) {
        hello();
        uint64_t due = (now_ns() - start) * pps / 1e9;
        if (due > total) due = total;
        int batch = due - sent > BATCH ? BATCH : due - sent;
        for (int i = 0; i < batch; i++) {
            uint8_t *d = out_buffers[i];
            put32(d + HEADER, a_link.label);
            uint64_t now = now_ns();
            d[HEADER + 4] = 0x80;
            memcpy(d + HEADER + 4 + 12, &now, 8);
            seal(&a_link, d, LENGTH, 4);
            out_vectors[i] = (struct iovec){d, LENGTH};
            out[i] = (struct mmsghdr){{&target, sizeof target, &out_vectors[i], 1, 0, 0, 0}, 0};
        }
        for (int done = 0; done < batch;) {
            int n = sendmmsg(a_socket, out + done, batch - done, 0);
            if (n > 0) done += n;
        }
        sent += batch;
        /* Not the whole processor: the system takes it from a real-time process that never sleeps. */
        if (drain() <= 0 && batch == 0) nanosleep(&(struct timespec){0, 20000}, 0);
    }
    uint64_t quiet = now_ns(), before = received;
    while (received < sent && now_ns() - quiet < 300000000ull) {
        hello();
        if (drain() <= 0) nanosleep(&(struct timespec){0, 20000}, 0);
        if (received > before) quiet = now_ns();
        before = received;
    }
    size_t kept = received < delays_room ? received : delays_room;
    qsort(delays, kept, sizeof *delays, by_size);
    double p50 = kept ? delays[kept / 2] / 10.0 : 0, p99 = kept ? delays[(size_t)(kept * 0.99)] / 10.0 : 0;
    double max = kept ? delays[kept - 1] / 10.0 : 0;
    printf("%llu %llu %.1f %.1f %.1f\n", (unsigned long long)sent, (unsigned long long)received, p50, p99, max);
    fflush(stdout);
}

static int drive(char **a) {
    target = at(a[0], a[1]);
    a_link = (link_t){.address = at(a[2], a[3]), .id = strtoul(a[4], 0, 10), .label = strtoul(a[6], 0, 10)};
    c_link = (link_t){.address = at(a[7], a[8]), .id = strtoul(a[9], 0, 10)};
    hex(a[5], a_link.key);
    hex(a[10], c_link.key);
    prctl(PR_SET_TIMERSLACK, 1);
    a_socket = bound(a_link.address);
    c_socket = bound(c_link.address);
    delays = malloc(delays_room * sizeof *delays);
    prepare();
    puts("{\"ready\":true}");
    fflush(stdout);
    char line[128];
    size_t filled = 0;
    for (;;) {
        hello();
        drain();
        struct pollfd in = {0, POLLIN, 0};
        if (poll(&in, 1, 10) <= 0) continue;
        ssize_t n = read(0, line + filled, sizeof line - 1 - filled);
        if (n <= 0) return 0;
        filled += n;
        line[filled] = 0;
        double pps, ms;
        if (!strchr(line, '\n')) continue;
        if (sscanf(line, "%lf %lf", &pps, &ms) == 2) run(pps, ms);
        filled = 0;
    }
}

int main(int count, char **words) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (count == 14 && !strcmp(words[1], "forward")) forward(words + 2);
    if (count == 13 && !strcmp(words[1], "drive")) return drive(words + 2);
    fprintf(stderr, "usage: see the head of transit.c\n");
    return 2;
}
