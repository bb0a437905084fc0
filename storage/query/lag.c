/*
 * lag.c: counts the messages that a group has not finished on a topic, from its rows (lag.h).
 *
 *   lag_read ──► dead letters ──► what was never delivered, queue by queue ──► runs ──► complete
 *                      any of these may end with ST_BUSY, and goes on in the next step where it stopped
 */
#include "storage/query/lag.h"

#include <stdlib.h>

#include "storage/query/base/kept.h"
#include "storage/query/lag_where.h"

enum lag_phase { PHASE_BEGIN, PHASE_FRESH, PHASE_LEASED, PHASE_WAITING, PHASE_SKIPPED };

#define COST_GET 4 /* of a row that is looked up, in rows that are walked over */

/* A name that was looked up last, and what was found: rows G of a group, and often of a topic, follow one another. */
struct lag_name {
    uint8_t name[SYSTEM_NAME_BYTES_MAX];
    size_t len; /* 0: none yet */
    uint64_t found; /* of a group: its gts below this are deleted; of a topic: its id, 0: there is none */
};

struct lag_reader {
    struct lag_name group, topic;
    struct standing st;
    enum lag_phase phase;
    uint32_t queue;       /* PHASE_FRESH: the queue at work */
    struct key run;       /* later: the row to go on with; empty: the first */
    uint32_t oldest_of;   /* the queue whose oldest run was looked at last */
    bool ttl_begun;       /* of the queue at work */
    struct lag_expiry ttl;
    struct kv_iter *runs; /* rows R, V and Z, while a step lasts */
    struct lag_topics topics;
    bool fresh_begun;     /* what was never delivered is counted by columns or classes, and: */
    struct lag_fresh fresh;
    uint64_t of_class[CLASSES_MAX][QUEUES_MAX]; /* its cursors for classes */
};

struct lag_reader *lag_reader_new(void)
{
    struct lag_reader *lr = calloc(1, sizeof(*lr));
    if (lr)
        lag_topics_init(&lr->topics);
    return lr;
}

void lag_pause(struct lag_reader *lr)
{
    kv_iter_free(lr->runs);
    lr->runs = NULL;
    lag_where_pause(&lr->fresh);
    lag_topics_pause(&lr->topics);
}

static void lag_older(struct lag *lag, int64_t stored_ms)
{
    if (stored_ms < lag->oldest_ms)
        lag->oldest_ms = stored_ms;
}

static bool lag_knows(const struct lag_name *n, struct slice name)
{
    return n->len > 0 && slice_equal(slice_of(n->name, n->len), name);
}

static void lag_learn(struct lag_name *n, struct slice name, uint64_t found)
{
    memcpy(n->name, name.data, name.len);
    n->len = name.len;
    n->found = found;
}

/* Looks up from which id on the gts of a group exist. */
static enum status lag_look_group(struct view *v, struct lag_reader *lr, struct slice name)
{
    struct key key = key_cgroup(name);
    struct cgroup_row row = {0};
    v->budget -= COST_GET;
    enum status s = view_get(v, &key);
    if (s == ST_OK && cgroup_decode(buf_slice(&v->row), &row) != ST_OK)
        s = view_damaged(v, &key);
    if (s == ST_OK || s == ST_GONE)
        lag_learn(&lr->group, name, row.below);
    return s == ST_GONE ? ST_OK : s;
}

static enum status lag_look_topic(struct view *v, struct lag_reader *lr, struct slice name)
{
    v->budget -= COST_GET;
    enum status s = view_topic(v, name);
    if (s == ST_OK || s == ST_GONE)
        lag_learn(&lr->topic, name, s == ST_OK ? v->topic.id : 0);
    return s == ST_GONE ? ST_OK : s;
}

enum status lag_there(struct view *v, struct lag_reader *lr, struct slice key, struct slice value)
{
    struct group_row row;
    const uint8_t *zero = memchr(key.data + 1, 0, key.len - 1);
    if (!zero || group_decode(value, &row) != ST_OK)
        return kv_damaged_row(v->kv, key);
    struct slice group = slice_of(key.data + 1, (size_t)(zero - key.data) - 1);
    struct slice topic = slice_of(zero + 1, (size_t)(key.data + key.len - zero) - 1);
    if (group.len > SYSTEM_NAME_BYTES_MAX || topic.len > SYSTEM_NAME_BYTES_MAX)
        return kv_damaged_row(v->kv, key);
    enum status s = lag_knows(&lr->group, group) ? ST_OK : lag_look_group(v, lr, group);
    if (s == ST_OK && !lag_knows(&lr->topic, topic))
        s = lag_look_topic(v, lr, topic);
    if (s != ST_OK)
        return s;
    return row.id < lr->group.found || row.topic_id != lr->topic.found ? ST_GONE : ST_OK;
}

/* Reads the group's own rows, and counts its dead letters. */
static enum status lag_begin(struct view *v, struct lag_reader *lr, struct slice key, struct slice value)
{
    struct standing *st = &lr->st;
    const uint8_t *zero = memchr(key.data + 1, 0, key.len - 1);
    if (!zero || group_decode(value, &st->row) != ST_OK)
        return kv_damaged_row(v->kv, key);
    st->group = slice_of(key.data + 1, (size_t)(zero - key.data) - 1);
    st->lag = (struct lag){.oldest_ms = INT64_MAX};
    struct key cursor = key_cursor(st->row.id);
    v->budget -= COST_GET;
    enum status s = view_get(v, &cursor);
    if (s == ST_OK)
        s = cursor_decode(buf_slice(&v->row), &st->cursor);
    if (s != ST_OK)
        return s;
    uint8_t name[NAME_BYTES_MAX + 8] = "%DLQ%";
    memcpy(name + 5, st->group.data, st->group.len);
    return lag_topic_messages(v, &lr->topics, slice_of(name, st->group.len + 5), &st->lag.dead);
}

/* Counts what the group never got from one queue of a topic with TTLs. */
static enum status lag_fresh_ttl(struct view *v, struct lag_reader *lr, struct lag_topic *t, uint64_t next)
{
    struct lag_queue *q = lag_queue_of(&lr->topics, t, lr->queue);
    if (!lr->ttl_begun)
        lr->ttl = (struct lag_expiry){.from = next, .at = next, .oldest_ms = INT64_MAX};
    lr->ttl_begun = true;
    if (q->ttl.at == q->end && q->ttl.from == next)
        lr->ttl = q->ttl; /* another group has stood here */
    enum status s = lag_expired(v, &lr->topics, t, lr->queue, &lr->ttl);
    if (s != ST_OK)
        return s;
    lr->ttl_begun = false;
    q->ttl = lr->ttl;
    lr->st.lag.ready += q->end - next - lr->ttl.expired;
    lag_older(&lr->st.lag, lr->ttl.oldest_ms);
    return ST_OK;
}

/* Counts the messages at or behind next that were removed one by one. */
static enum status lag_removed(struct view *v, const struct lag_topic *t, uint32_t queue, uint64_t next, uint64_t end,
                               uint64_t *ret_n)
{
    *ret_n = 0;
    if (!(t->flags & TOPIC_HAS_REMOVED))
        return ST_OK;
    enum status s = view_topic(v, slice_of(t->name, t->name_len));
    return s == ST_OK ? kept_not(v, queue, next, end, ret_n) : s;
}

/* Counts what the group never got from one queue. */
static enum status lag_behind(struct view *v, struct lag_reader *lr, struct lag_topic *t)
{
    struct standing *st = &lr->st;
    struct lag_queue *q = lag_queue_of(&lr->topics, t, lr->queue);
    uint64_t next = lr->queue < st->cursor.n_queues ? st->cursor.next[lr->queue] : 0;
    next = next < q->first ? q->first : next;
    if (next >= q->end)
        return ST_OK;
    if (t->flags & TOPIC_HAS_TTL)
        return lag_fresh_ttl(v, lr, t, next);
    uint64_t removed = 0;
    enum status s = lag_removed(v, t, lr->queue, next, q->end, &removed);
    if (s != ST_OK)
        return s;
    st->lag.ready += q->end - next - removed;
    int64_t stored = INT64_MAX;
    s = lag_stored(v, &lr->topics, t, lr->queue, next, st->lag.oldest_ms, &stored);
    lag_older(&st->lag, stored);
    return s == ST_GONE ? ST_OK : s;
}

static enum status lag_all_behind(struct view *v, struct lag_reader *lr, struct lag_topic *t)
{
    for (; lr->queue < t->n_queues; lr->queue++) {
        if (lr->queue % 16 == 0 && v->budget-- <= 0)
            return ST_BUSY;
        enum status s = lag_behind(v, lr, t);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* The same where the group does not get all of them, or not in order. */
static enum status lag_by_columns(struct view *v, struct lag_reader *lr, struct lag_topic *t)
{
    struct standing *st = &lr->st;
    struct lag_fresh *f = &lr->fresh;
    enum status s = ST_OK;
    if (!lr->fresh_begun) {
        lag_where_pause(f);
        *f = (struct lag_fresh){.of_class = lr->of_class, .at = UINT64_MAX, .oldest_ms = INT64_MAX};
        s = lag_fresh_cursors(v, t, &st->row, lr->of_class);
        lr->fresh_begun = s == ST_OK;
    }
    f->row = &st->row;
    f->t = t;
    for (; s == ST_OK && lr->queue < t->n_queues; lr->queue += s == ST_OK) {
        f->queue = lr->queue;
        f->next = lr->queue < st->cursor.n_queues ? st->cursor.next[lr->queue] : 0;
        bool where = st->row.filter_kind == FILTER_WHERE;
        s = v->budget <= 0 ? ST_BUSY : where ? lag_where_queue(v, &lr->topics, f) : lag_fresh_queue(v, &lr->topics, f);
    }
    if (s != ST_OK)
        return s;
    lag_where_pause(f);
    st->lag.ready += f->ready;
    st->lag.unexamined = f->unexamined;
    st->lag.by_messages = lag_fresh_walks(t, &st->row);
    lag_older(&st->lag, f->oldest_ms);
    return ST_OK;
}

/* Takes out of a run what is below the floor. */
static void lag_raise(struct run_row *run, uint64_t base, uint64_t floor)
{
    for (uint32_t i = 0; i < run->count && base + i < floor; i++)
        run->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static enum status lag_run(struct view *v, struct lag_reader *lr, struct lag_topic *t, uint32_t queue, uint64_t base,
                           const struct run_row *run)
{
    struct lag *lag = &lr->st.lag;
    uint64_t live = 0, first = 0;
    enum status s = lag_live(v, &lr->topics, t, queue, base, run, &live, &first);
    if (s != ST_OK)
        return s;
    /* By their places, so those behind the first of a queue are younger, unless they lie across each other. */
    bool in_order = run->state == RUN_LEASED && !(lr->st.row.flags & GROUP_OVERLAPS);
    if (live && !(in_order && lr->oldest_of == queue)) {
        int64_t stored = INT64_MAX;
        lr->oldest_of = queue;
        s = lag_stored(v, &lr->topics, t, queue, first, lag->oldest_ms, &stored);
        lag_older(lag, stored);
    }
    if (run->due_ms <= v->now_ms)
        lag->ready += live;
    else if (run->state == RUN_LEASED)
        lag->inflight += live;
    else
        lag->delayed += live;
    return s == ST_GONE ? ST_OK : s;
}

/* Is the waiting run one from before a SEEK of its queue? */
static bool lag_is_void(const struct lag_reader *lr, uint32_t queue, uint64_t base, const struct run_row *run)
{
    const struct cursor_row *c = &lr->st.cursor;
    return c->sought && queue < c->n_queues && base < c->again[queue] &&
           run_is_void(c->again_base[queue], run->attempt, run->delivered);
}

/* Opens the iterator over all runs, and moves it to where the last step stopped, or to the group's first row. */
static enum status lag_runs_open(struct view *v, struct lag_reader *lr, char kind)
{
    if (!lr->runs)
        lr->runs = kv_iter_new(v->kv, KV_STATE, v->snap, SLICE_LIT("R"), SLICE_LIT("["));
    if (!lr->runs)
        return ST_NOMEM;
    struct key first = key_of_id(kind, lr->st.row.id);
    kv_iter_seek(lr->runs, key_slice(lr->run.len ? &lr->run : &first));
    v->budget -= COST_GET;
    return ST_OK;
}

/* The iterator stands on a run of this group: where the run begins. */
static bool lag_runs_place(const struct lag_reader *lr, char kind, uint32_t *ret_queue, uint64_t *ret_base)
{
    if (!kv_iter_valid(lr->runs))
        return false;
    struct slice key = kv_iter_key(lr->runs);
    size_t at = kind == 'V' ? 17 : 9; /* a due time stands before the place of a V row */
    size_t len = kind == 'Z' ? SKIPPED_KEY_BYTES : kind == 'V' ? WAITING_KEY_BYTES : at + 12;
    if (key.len != len || key.data[0] != (uint8_t)kind || key_read_u64(key.data + 1) != lr->st.row.id)
        return false;
    *ret_queue = key_read_u32(key.data + at);
    *ret_base = key_read_u64(key.data + at + 4);
    return true;
}

/* Reads a row Z as a run that waits and is due. */
static enum status lag_skipped(struct slice value, struct run_row *ret_run)
{
    struct skip_row row;
    *ret_run = (struct run_row){.state = RUN_WAITING, .count = SKIP_SPAN};
    enum status s = skip_decode(value, &row);
    if (s == ST_OK)
        memcpy(ret_run->bits, row.bits, sizeof(row.bits));
    return s;
}

/* Counts the runs of a kind of rows: R leased, V waiting ones, Z what an ordered group has passed over. */
static enum status lag_runs(struct view *v, struct lag_reader *lr, struct lag_topic *t, char kind)
{
    uint32_t queue = 0;
    uint64_t base = 0;
    enum status s = lag_runs_open(v, lr, kind);
    for (; s == ST_OK && lag_runs_place(lr, kind, &queue, &base); kv_iter_next(lr->runs)) {
        struct run_row run;
        if (v->budget-- <= 0) {
            lr->run.len = 0;
            key_bytes(&lr->run, kv_iter_key(lr->runs));
            return ST_BUSY;
        }
        s = kind == 'Z' ? lag_skipped(kv_iter_value(lr->runs), &run) : run_decode(kv_iter_value(lr->runs), &run);
        if (s == ST_OK && queue < t->n_queues)
            lag_raise(&run, base, lag_queue_of(&lr->topics, t, queue)->first);
        if (s == ST_OK && !(kind == 'V' && lag_is_void(lr, queue, base, &run)))
            s = lag_run(v, lr, t, queue, base, &run);
    }
    return s == ST_OK ? kv_iter_status(lr->runs) : s;
}

/* Does what is left of the phase at work, and moves on to the next. */
static enum status lag_phase_done(struct view *v, struct lag_reader *lr, struct lag_topic *t)
{
    const struct cursor_row *c = &lr->st.cursor;
    bool voided = c->purges < t->purges; /* a PURGE took the messages of all runs */
    enum status s = ST_OK;
    if (lr->phase == PHASE_FRESH)
        s = lag_fresh_needed(t, &lr->st.row) ? lag_by_columns(v, lr, t) : lag_all_behind(v, lr, t);
    else if (lr->phase == PHASE_LEASED && c->leased_runs && !voided)
        s = lag_runs(v, lr, t, 'R');
    else if (lr->phase == PHASE_WAITING && c->waiting_runs && !voided)
        s = lag_runs(v, lr, t, 'V');
    else if (lr->phase == PHASE_SKIPPED && c->skipped && !voided)
        s = lag_runs(v, lr, t, 'Z');
    if (s != ST_OK)
        return s;
    lr->phase = lr->phase == PHASE_SKIPPED ? PHASE_BEGIN : lr->phase + 1;
    lr->run.len = 0;
    lr->oldest_of = UINT32_MAX;
    return ST_OK;
}

enum status lag_read(struct view *v, struct lag_reader *lr, struct slice key, struct slice value,
                     const struct standing **ret_st)
{
    struct lag_topic *t = NULL;
    enum status s = ST_OK;
    if (lr->phase == PHASE_BEGIN) {
        s = lag_begin(v, lr, key, value);
        if (s != ST_OK)
            return s == ST_BAD || s == ST_GONE ? kv_damaged_row(v->kv, key) : s;
        lr->phase = PHASE_FRESH;
        lr->fresh_begun = false;
        lr->queue = 0;
        lr->ttl_begun = false;
    }
    else if (group_decode(value, &lr->st.row) != ST_OK) /* its filter points into value, which is new */
        return kv_damaged_row(v->kv, key);
    size_t group_len = strnlen((const char *)key.data + 1, key.len - 1);
    lr->st.group = slice_of(key.data + 1, group_len);
    lr->st.topic = slice_of(key.data + group_len + 2, key.len - group_len - 2);
    s = lag_topic(v, &lr->topics, lr->st.topic, &t);
    while (s == ST_OK && lr->phase != PHASE_BEGIN)
        s = lag_phase_done(v, lr, t);
    *ret_st = &lr->st;
    return s == ST_BAD || s == ST_GONE ? kv_damaged_row(v->kv, key) : s;
}
