/*
 * body.h: the body of a message. Its head tells the receiver which message it is, when it was meant to be sent, and
 * whether it is undamaged.
 *
 *   0      8      12     16     24       32
 *   sum    run    key    seq    stamp    filler ...      little-endian
 *
 *   sum    checksum of everything after it; 0: there is none
 *   run    which run sent it: messages of other runs in the same topic are not checked
 *   key    the number of the sequence that it belongs to;  seq   its place in that sequence
 *   stamp  the intended start, on the sender's monotonic clock
 *
 * A body that is shorter than the head is filler only. The filler is computed from seed, key and seq, so that the same
 * body can be made again for a repeat.
 *
 *   filler   cut from a pool of random bytes that is small enough to stay in the processor's cache
 *   random   drawn for each body: no two have anything in common
 *   json     cut from a larger pool of orders in JSON; the body begins at the start of an order
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

/* By its name. False: there is no such kind. */
bool body_kind_find(const char *name, enum body_kind *ret_kind);

/* most: the bytes of the longest body. False: no memory. */
bool body_pool_init(struct body_pool *p, enum body_kind kind, size_t most, uint64_t seed);
void body_pool_fini(struct body_pool *p);

/* Writes a body of size bytes (<= most); summed: with its checksum. */
void body_make(const struct body_pool *p, const struct body_head *head, bool summed, uint8_t *out,
               size_t size);

/* Writes only the head, into a body that already has its filler; size as above. */
void body_patch(const struct body_head *head, uint8_t *out, size_t size);

/* False: too short for a head. */
bool body_read(struct slice body, struct body_head *ret_head);

/* False: the checksum is wrong, or missing. */
bool body_whole(struct slice body);

#endif
