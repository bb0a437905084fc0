/* keep.c: how much a topic keeps, and when its oldest messages are to be looked at (keep.h). cut.c deletes them. */
#include "storage/model/keep.h"

#include "storage/model/queue.h"
#include "storage/model/timer.h"

#define KEEP_SLACK_SHARE 4
#define KEEP_SLACK_MIN_MS 1000
#define KEEP_SLACK_MAX_MS 8000 /* the contract says 15 s */
#define KEEP_EXCESS_SHARE 4 /* so much more of MAXBYTES is kept before something is deleted */
#define KEEP_HOPS_MAX 64 /* over rows that are damaged */

struct slice keep_what(const struct topic *t, struct key *hold)
{
    hold->len = 0;
    key_u64(hold, t->id);
    key_bytes(hold, t->name);
    return key_slice(hold);
}

bool keep_parse(struct slice what, uint64_t *ret_topic_id, struct slice *ret_name)
{
    if (what.len <= 8 || what.len > 8 + SYSTEM_NAME_BYTES_MAX)
        return false;
    *ret_topic_id = key_read_u64(what.data);
    *ret_name = slice_of(what.data + 8, what.len - 8);
    return true;
}

void keep_disarm(struct state *st, struct topic *t)
{
    struct key hold;
    if (!t->cut_ms)
        return;
    timer_del(st, t->cut_ms, TIMER_CUT, keep_what(t, &hold));
    t->cut_ms = 0;
    topic_touch(st, t);
}

void keep_arm(struct state *st, struct topic *t, int64_t due_ms)
{
    struct key hold;
    if (t->cut_ms && t->cut_ms <= due_ms)
        return;
    keep_disarm(st, t);
    t->cut_ms = due_ms;
    timer_put(st, due_ms, TIMER_CUT, keep_what(t, &hold));
    topic_touch(st, t);
}

void keep_set(struct state *st, struct topic *t, int64_t now_ms, int64_t retention_ms, uint64_t max_bytes)
{
    if (!t->max_bytes)
        t->kept_known = false; /* nobody has counted since */
    t->retention_ms = retention_ms;
    t->max_bytes = max_bytes;
    keep_disarm(st, t);
    if (retention_ms || max_bytes)
        keep_arm(st, t, now_ms);
    topic_touch(st, t);
}

int64_t keep_slack_ms(const struct topic *t)
{
    int64_t slack = t->retention_ms / KEEP_SLACK_SHARE;
    slack = slack < KEEP_SLACK_MAX_MS ? slack : KEEP_SLACK_MAX_MS;
    return slack > KEEP_SLACK_MIN_MS ? slack : KEEP_SLACK_MIN_MS;
}

uint64_t keep_bytes_before(const struct record_info *info, uint64_t offset)
{
    if (offset <= info->base)
        return 0;
    uint64_t n = offset - info->base;
    return n < info->count ? info->bytes * n / info->count : info->bytes;
}

/* The bytes below the floor of a queue whose first records are in the store. Where a record's row cannot be read the record itself
 * says how long it is, but not how much was before it: the next one does, or the queue. What cannot be read at all counts as if it
 * were gone. */
static enum status keep_before_stored(struct state *st, struct topic *t, uint32_t queue, uint64_t *ret_before)
{
    const struct queue *q = &t->queues[queue];
    struct directory *d = finder_directory(&st->finder, t->id, t->compress);
    uint64_t at = q->floor, end = q->fresh_group == st->group ? q->fresh_base : q->end, step = 1;
    uint64_t before = q->total, passed = 0; /* what is above the floor and before that place */
    if (!d)
        return ST_NOMEM;
    for (int hop = 0; hop < KEEP_HOPS_MAX && at < end; hop++, step *= 2) {
        struct record_info info;
        enum status s = directory_find(d, queue, at, &info);
        if (s != ST_OK && s != ST_DAMAGED && s != ST_GONE)
            return s;
        if (s == ST_GONE)
            break;
        if (s == ST_OK && info.total >= info.bytes) {
            before = info.total - info.bytes + keep_bytes_before(&info, q->floor);
            break;
        }
        if (s == ST_OK)
            passed += info.bytes - keep_bytes_before(&info, q->floor);
        uint64_t next = s == ST_OK ? info.base + info.count : at + step;
        at = next > at ? next : end;
    }
    *ret_before = before > passed ? before - passed : 0;
    return ST_OK;
}

static enum status keep_before(struct state *st, struct topic *t, uint32_t queue, uint64_t *ret_before)
{
    const struct queue *q = &t->queues[queue];
    const struct record_info *known = queue_recall(q, q->floor);
    *ret_before = known ? known->total - known->bytes + keep_bytes_before(known, q->floor) : q->total;
    bool fresh = q->floor >= q->end || (q->tail && q->floor >= q->tail->base);
    return known || fresh ? ST_OK : keep_before_stored(st, t, queue, ret_before);
}

enum status keep_count(struct state *st, struct topic *t)
{
    uint64_t kept = 0;
    if (t->kept_known)
        return ST_OK;
    for (uint32_t i = 0; i < t->n_queues; i++) {
        struct queue *q = &t->queues[i];
        enum status s = keep_before(st, t, i, &q->before);
        if (s != ST_OK)
            return s;
        if (q->before > q->total)
            q->before = 0; /* the last row was damaged, and `total` began anew */
        kept += q->total - q->before;
    }
    t->kept = kept;
    t->kept_known = true;
    return ST_OK;
}

void keep_grown(struct state *st, struct topic *t, const struct record_info *info)
{
    if (t->retention_ms && !t->cut_ms)
        keep_arm(st, t, st->now_ms + t->retention_ms + keep_slack_ms(t));
    if (!t->max_bytes)
        return;
    if (t->kept_known)
        t->kept += info->bytes;
    enum status s = keep_count(st, t);
    st->sick = st->sick || s == ST_NOMEM; /* when it is done must not depend on the memory */
    if (s != ST_OK || (t->kept > t->max_bytes && t->kept - t->max_bytes > t->max_bytes / KEEP_EXCESS_SHARE))
        keep_arm(st, t, st->now_ms);
}
