/* cut_rows.c: deletes the records and rows of the oldest messages of a queue (cut_rows.h). */
#include "storage/model/cut_rows.h"

#include "storage/disk/kv_space.h"
#include "storage/disk/records.h"
#include "storage/model/log.h"
#include "storage/model/queue.h"

#define CUT_POINTS_MAX 64    /* records that are deleted one by one ... */
#define CUT_EXPIRIES_MAX 256 /* ... and rows E */
#define CUT_EMPTIES_MAX 8 /* ... where none is left: whoever looks for the last record walks back over all deleted ones */

/* Finds where the records begin that go. False: they are many, or some cannot be read. */
static bool cut_rows_few(struct state *st, struct topic *t, const struct cut_range *r, uint64_t bases[CUT_POINTS_MAX],
                         uint32_t *ret_n)
{
    uint64_t at = r->first;
    uint32_t n = 0;
    while (at < r->keep && n < CUT_POINTS_MAX) {
        struct record_info info;
        bool there = log_locate(st, t, r->queue, at < r->floor ? r->floor : at, &info) == ST_OK && info.base == at;
        if (!there)
            return false;
        bases[n++] = at;
        at += info.count;
    }
    *ret_n = n;
    return at == r->keep;
}

static void cut_rows_points(struct state *st, const struct topic *t, const struct cut_range *r, const uint64_t *bases,
                            uint32_t n)
{
    enum kv_family f = records_family(t->compress);
    for (uint32_t i = 0; i < n; i++) {
        struct key record = key_log(t->id, r->queue, bases[i]), place = key_directory(t->id, r->queue, bases[i]);
        kv_del(st->kv, f, key_slice(&record));
        core_del(st, &place);
    }
}

static void cut_rows_range(struct state *st, const struct topic *t, const struct cut_range *r)
{
    struct key from = key_log(t->id, r->queue, r->first), to = key_log(t->id, r->queue, r->keep);
    struct key first = key_directory(t->id, r->queue, r->empties ? 0 : r->first);
    struct key end = key_directory(t->id, r->queue, r->keep);
    kv_space_cut_range(st->kv, records_family(t->compress), key_slice(&from), key_slice(&to));
    kv_del_range(st->kv, KV_STATE, key_slice(&first), key_slice(&end));
}

static void cut_rows_expiries(struct state *st, const struct topic *t, const struct cut_range *r)
{
    struct key from = key_expiry(t->id, r->queue, r->floor), to = key_expiry(t->id, r->queue, r->at);
    if (!(t->flags & TOPIC_HAS_TTL))
        return;
    if (r->at - r->floor > CUT_EXPIRIES_MAX) {
        kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
        return;
    }
    for (uint64_t at = r->floor; at < r->at; at++) {
        struct key key = key_expiry(t->id, r->queue, at);
        core_del(st, &key);
    }
}

void cut_rows(struct state *st, struct topic *t, const struct cut_range *r)
{
    uint64_t bases[CUT_POINTS_MAX];
    uint32_t n = 0;
    cut_rows_expiries(st, t, r);
    if (r->first >= r->keep)
        return; /* only a part of one record goes */
    bool few = cut_rows_few(st, t, r, bases, &n) && !(r->empties && n > CUT_EMPTIES_MAX);
    if (few)
        cut_rows_points(st, t, r, bases, n);
    else
        cut_rows_range(st, t, r);
    queue_cut_classes(st, t, r->queue, r->keep);
    kv_space_cut(st->kv, t->id, r->bytes);
}
