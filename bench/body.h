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
 * Bodies shorter than the head are filler only. The filler is cut from a pool of random bytes that
 * every run of the same seed has, at a place that key and seq give: a body can be made again for a
 * repeat.
 */
#ifndef HALFMQ_BENCH_BODY_H
#define HALFMQ_BENCH_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/slice.h"

#define BODY_HEAD_BYTES 32

struct body_head {
    uint32_t run, key;
    uint64_t seq;
    int64_t stamp_ns;
};

struct body_pool {
    uint8_t *bytes;
    size_t len, most;
    uint64_t seed;
};

/* For bodies of at most so many bytes. False: no memory. */
bool body_pool_init(struct body_pool *p, size_t most, uint64_t seed);
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
