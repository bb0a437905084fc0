/*
 * scan.h: an iterator over rows that goes on behind what cannot be read.
 *
 *   rows   │ 1 2 3 │▒ damaged block ▒│ 7 8 9 │        scan: 1 2 3 7 8 9, and `skipped`
 *
 * A block of rows is read as a whole. Where one is damaged, nobody knows which row is the first one behind it, so the
 * scan searches for it by the numbers in the keys: doubling the step until something can be read, then halving. What
 * lies in the block stays there, for a later scan that can read it.
 *
 * One thread. The iterator sees the store as it was when the scan was opened.
 */
#ifndef HALFMQ_STORAGE_SCAN_H
#define HALFMQ_STORAGE_SCAN_H

#include "storage/disk/keys.h"
#include "storage/disk/kv.h"

#define SCAN_SKIPS_MAX 16 /* then the scan ends */

struct scan {
    struct kv *kv;
    struct kv_iter *it;
    struct key to;
    struct key last;    /* the last key that was read; at first where the scan begins */
    uint32_t at, width; /* which bytes of the keys are the numbers that they ascend by */
    uint32_t skips;
    struct key skipped; /* the last key before the first damaged block; len 0: there was none */
    enum status status; /* why it ended before its time: ST_IO, ST_NOMEM */
};

/* Opens a scan of the rows from <= key < to. `from` has all bytes up to `at`; ST_NOMEM. */
enum status scan_open(struct scan *s, struct kv *kv, const struct key *from, const struct key *to, uint32_t at,
                      uint32_t width) MUST_CHECK;
void scan_close(struct scan *s);

void scan_first(struct scan *s);
void scan_next(struct scan *s);
bool scan_valid(const struct scan *s);
struct slice scan_key(const struct scan *s);
struct slice scan_value(const struct scan *s);

#endif
