/*
 * body.h: what is in a message, so that whoever takes it knows which it is, when it was meant to be
 * sent, and whether it is whole.
 *
 *   0      8      12     16     24       32
 *   sum    run    key    seq    stamp    filler ...      little-endian
 *
 *   sum    checksum of everything behind it; 0: none was made
 *   run    which run sent it (messages of others in the same topic are not ours to judge)
 *   key    who it belongs to: its sequence's number;  seq   its place in that sequence
 *   stamp  the intended start, on the sender's monotonic clock
 *
 * Bodies shorter than the head are filler only. What it is follows from seed, key and seq: a body can be
 * made again for a repeat.
 *
 *   filler   cut from a pool of random bytes, which is small and stays in the processor's cache
 *   random   drawn for each body: no two have anything in common
 *   json     cut from a larger pool of orders as JSON, and begins where one of them does
 */
#ifndef HALFMQ_BENCH_BODY_H
#define HALFMQ_BENCH_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

#define BODY_HEAD_BYTES 32

struct body_head {
    uint32_t run, key;
    uint64_t seq;
    int64_t stamp_ns;
};

enum body_kind { BODY_FILLER, BODY_RANDOM, BODY_JSON };

struct body_pool {
    enum body_kind kind;
    uint8_t *bytes;
    size_t len, most;
    uint64_t seed;
};

/* By its name. False: there is none of it. */
bool body_kind_find(const char *name, enum body_kind *ret_kind);

/* For bodies of at most so many bytes. False: no memory. */
bool body_pool_init(struct body_pool *p, enum body_kind kind, size_t most, uint64_t seed);
void body_pool_fini(struct body_pool *p);

/* Writes a body of size bytes (<= most); summed: with its checksum. */
void body_make(const struct body_pool *p, const struct body_head *head, bool summed, uint8_t *out,
               size_t size);

/* Writes the head only, over a body that has its filler already; size as above. */
void body_patch(const struct body_head *head, uint8_t *out, size_t size);

/* False: too short for a head. */
bool body_read(struct slice body, struct body_head *ret_head);

/* False: the checksum is wrong, or missing. */
bool body_whole(struct slice body);

#endif
