/* cut.c: finds up to where a topic is cut, and cuts it there (cut.h). cut_rows.c deletes what is below. */
#include "storage/model/cut.h"

#include "storage/disk/kv_space.h"
#include "storage/model/cut_rows.h"
#include "storage/model/keep.h"
#include "storage/model/log.h"
#include "storage/model/timer.h"

#define CUT_LOOKS_MAX 256 /* look-ups in the directory a step, beside the first one of each queue */
#define CUT_NEAR 8        /* records that are walked over before they are jumped over */
#define CUT_STRIDES 64    /* MAXBYTES / that: up to so many bytes of one queue go before another queue's turn */
#define CUT_INSIDE_SHARE 4 /* MAXBYTES / that: so much more than MAXBYTES may be left (as in keep.c) */
#define CUT_BUSY_MS 1000

/* How far a queue is cut. */
struct cut_head {
    uint32_t queue;
    bool more;               /* the queue has a record from `at` on, which is: */
    struct record_info info;
    uint64_t at;             /* messages before it go */
    uint64_t before;         /* bytes of the queue's records before `at` */
    uint64_t first;          /* where the records begin that go */
};

struct cut {
    struct state *st;
    struct topic *t;
    struct cut_head *heads;
    uint32_t looks;
    bool left; /* the step has used up its look-ups */
    bool busy; /* a record is still being written */
};

static struct queue *cut_queue(const struct cut *c, const struct cut_head *h)
{
    return &c->t->queues[h->queue];
}

/* Where the records end that may go: the open group's newest stay. */
static uint64_t cut_end(const struct cut *c, const struct cut_head *h)
{
    const struct queue *q = cut_queue(c, h);
    return q->tail ? q->tail->base : q->end;
}

/* Finds the record that holds an offset, or the first one behind it. *ret_found false: there is none. */
static enum status cut_look(struct cut *c, const struct cut_head *h, uint64_t offset, struct record_info *ret_info,
                            bool *ret_found)
{
    *ret_found = false;
    if (offset >= cut_end(c, h))
        return ST_OK;
    c->looks++;
    enum status s = log_locate(c->st, c->t, h->queue, offset, ret_info);
    c->busy = c->busy || s == ST_BUSY;
    *ret_found = s == ST_OK && ret_info->base < cut_end(c, h);
    return s == ST_GONE || s == ST_BUSY ? ST_OK : s;
}

static enum status cut_next(struct cut *c, struct cut_head *h)
{
    return cut_look(c, h, h->at, &h->info, &h->more);
}

/* The bytes of the queue's records before the floor. */
static uint64_t cut_bytes_before(const struct cut *c, const struct cut_head *h)
{
    const struct queue *q = cut_queue(c, h);
    if (c->t->max_bytes)
        return q->before;
    bool said = h->more && h->info.total >= h->info.bytes;
    return said ? h->info.total - h->info.bytes + keep_bytes_before(&h->info, h->at) : q->total;
}

static enum status cut_begin(struct cut *c)
{
    struct topic *t = c->t;
    buf_reset(&c->st->heads, KIB(64));
    c->heads = (struct cut_head *)(void *)buf_room(&c->st->heads, t->n_queues * sizeof(*c->heads));
    if (!c->heads)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (uint32_t q = 0; q < t->n_queues && s == ST_OK; q++) {
        struct cut_head *h = &c->heads[q];
        *h = (struct cut_head){.queue = q, .at = t->queues[q].floor};
        s = cut_next(c, h);
        h->before = cut_bytes_before(c, h);
        h->first = h->more && h->info.base < h->at ? h->info.base : h->at;
    }
    c->looks = 0;
    return s;
}

/* The bytes of the head's record that are not cut off yet. */
static uint64_t cut_rest(const struct cut_head *h)
{
    return h->info.bytes - keep_bytes_before(&h->info, h->at);
}

/* Moves the cut behind the head's record. */
static enum status cut_pass(struct cut *c, struct cut_head *h)
{
    h->before += cut_rest(h);
    h->at = h->info.base + h->info.count;
    return cut_next(c, h);
}

/* Moves the cut to the beginning of a record further on, or to the end of the queue. */
static void cut_jump(struct cut *c, struct cut_head *h, uint64_t at, const struct record_info *info, bool found)
{
    const struct queue *q = cut_queue(c, h);
    uint64_t before = !found ? q->total : info->total >= info->bytes ? info->total - info->bytes : 0;
    h->at = at;
    h->before = before > h->before ? before : h->before;
    h->more = found;
    if (found)
        h->info = *info;
}

/* ---- RETENTION ---- */

static bool cut_is_old(const struct cut *c, const struct record_info *info)
{
    return info->stored_ms <= c->st->now_ms - c->t->retention_ms;
}

/* Finds the first record that is not too old. All records before h->at are. */
static enum status cut_search_age(struct cut *c, struct cut_head *h)
{
    uint64_t low = h->at, high = cut_end(c, h);
    struct record_info info = {0}, kept = {0};
    bool found = false, keeps = false;
    enum status s = ST_OK;
    while (low < high && s == ST_OK) {
        uint64_t middle = low + (high - low) / 2;
        s = cut_look(c, h, middle, &info, &found);
        if (s == ST_OK && found && cut_is_old(c, &info)) {
            low = info.base + info.count;
            continue;
        }
        keeps = found;
        kept = info;
        high = found && info.base > low && info.base < middle ? info.base : found && info.base <= low ? low : middle;
    }
    if (s == ST_OK)
        cut_jump(c, h, low, &kept, keeps);
    return s;
}

static enum status cut_queue_age(struct cut *c, struct cut_head *h)
{
    enum status s = ST_OK;
    int n = 0;
    for (; s == ST_OK && n < CUT_NEAR && h->more && cut_is_old(c, &h->info); n++)
        s = cut_pass(c, h);
    if (s == ST_OK && n == CUT_NEAR && h->more && cut_is_old(c, &h->info))
        s = cut_search_age(c, h);
    return s;
}

static enum status cut_age(struct cut *c)
{
    enum status s = ST_OK;
    for (uint32_t q = 0; c->t->retention_ms && q < c->t->n_queues && s == ST_OK; q++) {
        struct cut_head *h = &c->heads[q];
        bool old = h->more && cut_is_old(c, &h->info);
        c->left = c->left || (old && c->looks >= CUT_LOOKS_MAX);
        if (old && !c->left)
            s = cut_queue_age(c, h);
    }
    return s;
}

/* ---- MAXBYTES ---- */

/* Records of one commit group end one after the other, so that the one with the newest message is the last. */
static bool cut_before(const struct cut_head *a, const struct cut_head *b)
{
    if (a->info.index != b->info.index)
        return a->info.index < b->info.index;
    return a->info.last_seq < b->info.last_seq;
}

/* The queue with the oldest record; NULL: all are empty. *ret_others: there are messages behind that record, or elsewhere. */
static struct cut_head *cut_oldest(const struct cut *c, bool *ret_others)
{
    struct cut_head *oldest = NULL;
    uint32_t n = 0;
    bool tails = false;
    for (uint32_t q = 0; q < c->t->n_queues; q++) {
        struct cut_head *h = &c->heads[q];
        tails = tails || c->t->queues[q].tail;
        n += h->more;
        if (h->more && (!oldest || cut_before(h, oldest)))
            oldest = h;
    }
    *ret_others = tails || n > 1 || (oldest && oldest->info.base + oldest->info.count < cut_queue(c, oldest)->end);
    return oldest;
}

/* The head's record is more than may go: cuts it between messages, so that `excess` bytes of it go. Nothing is done where
 * that is little. *ret_done false: nothing was done. */
static enum status cut_inside(struct cut *c, struct cut_head *h, uint64_t excess, bool others, bool *ret_done)
{
    const struct record_info *info = &h->info;
    uint64_t from = h->at > info->base ? h->at : info->base, left = info->base + info->count - from;
    uint64_t each = info->bytes / info->count, n = excess / (each ? each : 1), rest = cut_rest(h);
    *ret_done = excess > c->t->max_bytes / CUT_INSIDE_SHARE && (left > 1 || others);
    if (!*ret_done)
        return ST_OK;
    if (left == 1)
        return cut_pass(c, h);
    n = n < 1 ? 1 : n < left ? n : left - 1;
    h->at = from + n;
    h->before += rest - cut_rest(h);
    return ST_OK;
}

/* Passes records of about so many bytes, but no more than `most`. */
static enum status cut_stride(struct cut *c, struct cut_head *h, uint64_t bytes, uint64_t most)
{
    uint64_t each = h->info.bytes / h->info.count, n = bytes / (each ? each : 1);
    uint64_t from = h->at > h->info.base ? h->at : h->info.base;
    bool far = n > 2UL * h->info.count && n < cut_end(c, h) - from, found = false;
    struct record_info info;
    enum status s = far ? cut_look(c, h, from + n, &info, &found) : ST_OK;
    if (s != ST_OK)
        return s;
    bool known = found && info.base > h->info.base && info.total >= info.bytes && info.total - info.bytes > h->before;
    if (!known || info.total - info.bytes - h->before > most)
        return cut_pass(c, h);
    cut_jump(c, h, info.base, &info, true);
    return ST_OK;
}

static enum status cut_size(struct cut *c)
{
    uint64_t most = c->t->max_bytes, kept = 0;
    enum status s = ST_OK;
    for (uint32_t q = 0; q < c->t->n_queues; q++)
        kept += c->t->queues[q].total - c->heads[q].before;
    while (most && kept > most && s == ST_OK && !c->left) {
        bool others = false;
        struct cut_head *h = cut_oldest(c, &others);
        if (!h)
            break;
        uint64_t before = h->before, stride = most / CUT_STRIDES, excess = kept - most;
        bool goes = cut_rest(h) <= excess && others, done = true;
        s = goes ? cut_stride(c, h, stride < excess ? stride : excess, excess) : cut_inside(c, h, excess, others, &done);
        if (!done)
            break;
        kept -= h->before - before;
        c->left = c->looks >= CUT_LOOKS_MAX;
    }
    return s;
}

/* ---- what was found is done ---- */

/* Raises the floor of a queue, and deletes what is below. */
static void cut_do(struct cut *c, const struct cut_head *h)
{
    struct queue *q = cut_queue(c, h);
    struct cut_range r = {.queue = h->queue, .first = h->first, .floor = q->floor, .at = h->at, .keep = h->at};
    if (h->at <= q->floor)
        return;
    if (h->more && h->info.base < h->at)
        r.keep = h->info.base;
    r.bytes = h->before - q->before;
    r.empties = !h->more && h->at >= cut_end(c, h);
    cut_rows(c->st, c->t, &r);
    c->st->tally.messages_removed += h->at - q->floor;
    c->st->tally.bytes_removed += r.bytes;
    q->floor = h->at;
    q->before = h->before;
    if (r.empties)
        q->total = q->before = 0; /* no row is left to go on from, as after a PURGE */
    c->t->cuts++;
}

/* Puts the timer row for what comes next, and tells since when messages are kept. The oldest message of the open group has its row when it is a record. */
static void cut_again(struct cut *c)
{
    int64_t oldest_ms = INT64_MAX;
    for (uint32_t q = 0; q < c->t->n_queues; q++) {
        const struct cut_head *h = &c->heads[q];
        if (h->more && h->info.stored_ms < oldest_ms)
            oldest_ms = h->info.stored_ms;
    }
    kv_space_kept(c->st->kv, c->t->id, oldest_ms < c->st->now_ms ? oldest_ms : c->st->now_ms, c->st->now_ms);
    if (c->left)
        keep_arm(c->st, c->t, c->st->now_ms);
    else if (c->busy)
        keep_arm(c->st, c->t, c->st->now_ms + CUT_BUSY_MS);
    else if (c->t->retention_ms && oldest_ms < INT64_MAX)
        keep_arm(c->st, c->t, oldest_ms + c->t->retention_ms + keep_slack_ms(c->t));
}

static enum status cut_topic(struct state *st, struct topic *t)
{
    struct cut c = {.st = st, .t = t};
    enum status s = t->max_bytes ? keep_count(st, t) : ST_OK;
    if (s == ST_OK)
        s = cut_begin(&c);
    if (s == ST_OK)
        s = cut_age(&c);
    if (s == ST_OK)
        s = cut_size(&c);
    if (s != ST_OK)
        return s;
    t->kept = 0;
    for (uint32_t q = 0; q < t->n_queues; q++) {
        cut_do(&c, &c.heads[q]);
        t->kept += t->queues[q].total - t->queues[q].before;
    }
    t->cut_ms = 0; /* its row has fired */
    topic_touch(st, t);
    cut_again(&c);
    core_worked(st, c.looks + t->n_queues, 0);
    return ST_OK;
}

enum status cut_tick(struct state *st, int64_t due_ms, struct slice what)
{
    struct topic *t = NULL;
    struct slice name;
    uint64_t id = 0;
    if (!keep_parse(what, &id, &name))
        return ST_GONE;
    enum status s = topic_get(st, name, &t);
    if (s != ST_OK || t->id != id)
        return s == ST_OK ? ST_GONE : s;
    bool mine = t->cut_ms == due_ms || due_ms == TIMER_FIRST_UNKNOWN;
    return mine ? cut_topic(st, t) : ST_GONE;
}
