/* check_base.h: what a check has at hand, and how it reads rows and tells damages. */
#ifndef HALFMQ_STORAGE_CHECK_BASE_H
#define HALFMQ_STORAGE_CHECK_BASE_H

#include "storage/check/check_facts.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv.h"
#include "storage/disk/rows.h"

/* Ids in ascending order, after check_ids_sort. */
struct check_ids {
    uint64_t *ids;
    size_t n, room;
};

struct checking {
    const struct check_options *opt;
    struct check_sums sums;
    struct kv *kv;
    struct meta_row meta;
    struct check_ids topics; /* ids */
    struct buf value;                /* of a look-up */
    uint64_t told;                   /* bytes, when progress was told last */
    uint64_t pending, parked, pgroups;
    uint64_t left_over; /* groups on topics that were deleted, which M counts until their rows are deleted */
    uint64_t postponed[UINT8_MAX + 1]; /* rows W that were put again for later, by kind */
    bool blind;         /* some rows could not be read: counts of the whole store are not compared */
    enum status failed; /* ST_OK, or why the check itself cannot go on */
};

/* Tells a damage. */
void check_say(struct checking *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A name for a sentence. Returns out. */
#define CHECK_QUOTED 160
const char *check_quote(struct slice name, char out[CHECK_QUOTED]);

/* Counts what was read. */
void check_read(struct checking *c, size_t bytes);

/* The rows that begin with prefix, in order: for (it = check_rows(..); check_row(c, it, ...); kv_iter_next(it)). NULL: no memory,
 * c->failed says so. check_rows_end frees it; true where all of them could be read. */
struct kv_iter *check_rows(struct checking *c, const struct key *prefix);
bool check_row(struct checking *c, struct kv_iter *it, struct slice *ret_key, struct slice *ret_value);
bool check_rows_end(struct checking *c, struct kv_iter *it);

/* Is there such a row? Its value is in c->value. What cannot be read counts as there. */
bool check_has(struct checking *c, const struct key *key);

void check_ids_add(struct checking *c, struct check_ids *l, uint64_t id);
void check_ids_sort(struct check_ids *l);
bool check_ids_have(const struct check_ids *l, uint64_t id);

#endif
