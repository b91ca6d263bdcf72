/*
 * The same Dijkstra with an indexed 4-ary heap as servers/routing/route/search-space.ts, in C, as the yardstick of
 * `npm run bench -- spf`. The least of four children is found in the way that is fastest here: the compiler makes
 * conditional moves of it, which TypeScript has to write out as arithmetic.
 *
 * Reads a graph in compressed rows, runs it from one root after the other (the same root again and again would teach the
 * processor every branch), writes the distances from the last one for comparison.
 *
 *   spf GRAPH RUNS DISTANCES   prints the median of the times of a run in milliseconds
 *   GRAPH: int32 vertices, int32 edges, int32 rowStart[vertices + 1], int32 head[edges], int32 cost[edges]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int32_t n, m, *row, *head, *parent, *heapVertex, *heapPlace;
static int32_t *cost, *distance, *heapKey;

static void run(int32_t root) {
    for (int32_t v = 0; v < n; v++) {
        distance[v] = 0x3fffffff;
        parent[v] = -1;
    }
    distance[root] = 0;
    heapVertex[0] = root;
    heapKey[0] = 0;
    heapPlace[root] = 0;
    int32_t size = 1;
    while (size > 0) {
        int32_t v = heapVertex[0];
        int32_t base = heapKey[0];
        heapPlace[v] = -1;
        if (--size > 0) {
            int32_t last = heapVertex[size], place = 0;
            int32_t key = heapKey[size];
            for (;;) {
                int32_t first = place * 4 + 1;
                if (first >= size) break;
                int32_t best = first, end = first + 4 < size ? first + 4 : size;
                int32_t bestKey = heapKey[first];
                for (int32_t child = first + 1; child < end; child++)
                    if (heapKey[child] < bestKey) {
                        bestKey = heapKey[child];
                        best = child;
                    }
                if (bestKey >= key) break;
                heapVertex[place] = heapVertex[best];
                heapKey[place] = bestKey;
                heapPlace[heapVertex[place]] = place;
                place = best;
            }
            heapVertex[place] = last;
            heapKey[place] = key;
            heapPlace[last] = place;
        }
        for (int32_t e = row[v]; e < row[v + 1]; e++) {
            int32_t w = head[e];
            int32_t candidate = base + cost[e];
            if (candidate >= distance[w]) continue;
            distance[w] = candidate;
            parent[w] = v;
            int32_t place = heapPlace[w];
            if (place < 0) place = size++;
            while (place > 0) {
                int32_t above = (place - 1) >> 2;
                if (heapKey[above] <= candidate) break;
                heapVertex[place] = heapVertex[above];
                heapKey[place] = heapKey[above];
                heapPlace[heapVertex[place]] = place;
                place = above;
            }
            heapVertex[place] = w;
            heapKey[place] = candidate;
            heapPlace[w] = place;
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *need(void *memory) {
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void readAll(void *into, size_t size, size_t count, FILE *file) {
    if (fread(into, size, count, file) != count) {
        fputs("the graph file is shorter than it says\n", stderr);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: spf GRAPH RUNS DISTANCES\n", stderr);
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    readAll(&n, 4, 1, file);
    readAll(&m, 4, 1, file);
    row = need(malloc(4 * (size_t)(n + 1)));
    head = need(malloc(4 * (size_t)m));
    cost = need(malloc(4 * (size_t)m));
    readAll(row, 4, n + 1, file);
    readAll(head, 4, m, file);
    readAll(cost, 4, m, file);
    fclose(file);
    heapVertex = need(malloc(4 * (size_t)n));
    heapKey = need(malloc(4 * (size_t)n));
    heapPlace = need(malloc(4 * (size_t)n));
    for (int32_t v = 0; v < n; v++) heapPlace[v] = -1; /* and so it is again after a run: every vertex is taken out */
    int runs = atoi(argv[2]);
    if (runs < 1) runs = 1;
    double *times = need(malloc(sizeof(double) * runs));
    /* Every root keeps its own result, as in the program measured; the first round fills them, the second counts. */
    int32_t *all = need(malloc(4 * (size_t)n * 2 * runs));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < runs; i++) {
            int32_t *own = all + (size_t)n * 2 * i;
            distance = own;
            parent = own + n;
            struct timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            run((int32_t)((i * 7919LL) % n));
            clock_gettime(CLOCK_MONOTONIC, &b);
            times[i] = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
        }
    qsort(times, runs, sizeof(double), ascending);
    printf("%.6f\n", times[runs / 2]);
    file = fopen(argv[3], "wb");
    if (!file || fwrite(distance, 4, n, file) != (size_t)n || fclose(file)) {
        perror(argv[3]);
        return 1;
    }
    return 0;
}
