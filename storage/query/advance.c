/*
 * advance.c: how far groups with a FILTER can go on without a POP (query.h).
 *
 *   rows G    group after group; those without a FILTER, or that nobody asks about, cost a row each
 *   a group   queue after queue, from its cursor to the first message that matches:
 *
 *     cursor │ x x x x x x x │ M x x M │ end        x: does not match, or has expired
 *            └── a stretch ──┘
 *
 * Where the group goes by PRIORITY, each class has a cursor and a stretch of its own, and one walk finds all of them: it
 * ends where the last class has met its match. With FILTER TAG the directory's columns are asked; with FILTER WHERE the
 * messages are read.
 *
 * Bounds: ADVANCE_ROWS and ADVANCE_WORK a step. A group whose messages take longer goes on when its turn comes again.
 */
#include "storage/query.h"

#include <stdlib.h>

#include "storage/query/base/where.h"
#include "storage/query/lag_fresh.h"
#include "storage/sift.h"

#define ADVANCE_ROWS 1000     /* rows G that a step looks at; ... */
#define COST_GROUP 20         /* ... a group that is due costs as many */
#define ADVANCE_WORK 40000    /* as where.work: a step takes about 2 ms */
#define WORK_RECORD 60        /* to find a record and its columns ... */
#define WORK_COLUMNS 8        /* ... and to look at so many messages in them, one */
#define SIFTED_MOST MIB(1)

struct advance {
    struct key at; /* the row G to go on with; empty: the first */
    uint64_t least;         /* messages behind the cursors of a group that is looked at */
    uint32_t filtered, met; /* groups with a FILTER: in the last round, and so far in this one */
    uint32_t rows;          /* looked at in this step */
    uint64_t work;          /* left in this step */
    struct buf sifted, name;
    int64_t now_ms;
    /* ---- the group at work ---- */
    struct group_row row;
    struct lag_topic *t;
    struct filter *filter;
    bool by_class, more;
    struct cursor_row cursor;
    uint64_t of_class[CLASSES_MAX][QUEUES_MAX];
    struct lag_topics topics;
    /* ---- the queue at work ---- */
    uint32_t queue;
    uint64_t walk;               /* the next message */
    uint16_t open;               /* bits: classes that have met no match yet */
    uint64_t from[CLASSES_MAX];  /* their cursors ... */
    uint64_t to[CLASSES_MAX];    /* ... and, where they are not open, the first match */
};

struct advance *advance_new(uint64_t least)
{
    struct advance *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->least = least;
    buf_init(&a->sifted, SIFTED_MOST);
    buf_init(&a->name, 0);
    return a;
}

void advance_free(struct advance *a)
{
    if (!a)
        return;
    buf_free(&a->sifted);
    buf_free(&a->name);
    free(a);
}

uint32_t advance_filtered(const struct advance *a)
{
    return a->filtered;
}

static void advance_spend(struct advance *a, uint64_t work) { a->work -= work < a->work ? work : a->work; }

/* ---- one queue ---- */

/* Where the walk goes on: what is before the cursors of all open classes concerns none of them. */
static void advance_skip(struct advance *a)
{
    uint64_t least = UINT64_MAX;
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (a->open & (1U << c) && a->from[c] < least)
            least = a->from[c];
    a->walk = least != UINT64_MAX && least > a->walk ? least : a->walk;
}

static void advance_begin_queue(struct advance *a, uint64_t first)
{
    uint64_t next = a->queue < a->cursor.n_queues ? a->cursor.next[a->queue] : 0;
    a->open = (uint16_t)(CLASS_DEFAULT_BIT | (a->by_class ? a->t->classes : 0));
    for (uint8_t c = 0; c < CLASSES_MAX; c++) {
        uint64_t own = c == MESSAGE_PRIORITY_DEFAULT ? next : a->of_class[c][a->queue];
        a->from[c] = own > first ? own : first;
    }
    a->walk = 0;
    advance_skip(a);
}

/* Is a match at that offset one that some class has to stop at? */
static bool advance_concerns(const struct advance *a, uint8_t class, uint64_t offset)
{
    uint8_t c = a->by_class ? class : MESSAGE_PRIORITY_DEFAULT;
    return a->open & (1U << c) && offset >= a->from[c];
}

static void advance_stop(struct advance *a, uint8_t class, uint64_t offset)
{
    uint8_t c = a->by_class ? class : MESSAGE_PRIORITY_DEFAULT;
    a->to[c] = offset;
    a->open &= (uint16_t)~(1U << c);
}

/* Nobody knows of which class it is: each stops there. */
static void advance_stop_all(struct advance *a, uint64_t offset)
{
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (a->open & (1U << c) && offset >= a->from[c])
            advance_stop(a, c, offset);
}

/* Goes on until some class has stopped: then there may be much that concerns no other. */
static bool advance_put(void *arg, const struct where_seen *seen)
{
    struct advance *a = arg;
    uint16_t open = a->open;
    if (seen->stored_ms == INT64_MAX) /* it is damaged */
        advance_stop_all(a, seen->offset);
    else if (seen->matches && seen->expires_ms > a->now_ms && advance_concerns(a, seen->class, seen->offset))
        advance_stop(a, seen->class, seen->offset);
    return a->open == open;
}

static enum status advance_where(struct advance *a, struct view *v, uint64_t end)
{
    struct slice topic = slice_of(a->t->name, a->t->name_len);
    enum status s = v->topic.id == a->t->id ? ST_OK : view_topic(v, topic);
    while (s == ST_OK && a->open && a->walk < end && a->work > 0) {
        struct where w = {.filter = a->filter,
                          .topic = topic,
                          .queue = a->queue,
                          .at = a->walk,
                          .end = end,
                          .work = a->work,
                          .put = advance_put,
                          .arg = a};
        s = where_ask(&w, v);
        a->work = w.work;
        a->walk = w.at;
        advance_skip(a);
    }
    return s;
}

/* Has the message expired? */
static enum status advance_expired(struct advance *a, struct view *v, const struct record_info *info, uint64_t offset,
                                   bool *ret_expired)
{
    const uint64_t bit = 1;
    uint64_t n = 0, first = 0;
    enum status s = ST_OK;
    if (info->expires_least <= a->now_ms)
        s = lag_expired_of(v, &a->topics, a->t, a->queue, offset, offset + 1, &bit, &n, &first);
    *ret_expired = n > 0;
    return s;
}

static enum status advance_record(struct advance *a, struct view *v, const struct record_info *info)
{
    struct columns c;
    enum status s = lag_columns(v, &a->topics, a->t, a->queue, info, &c);
    if (s == ST_OK)
        s = columns_wanted(&c, a->row.filter, &a->topics.wanted);
    a->walk = a->walk < info->base ? info->base : a->walk;
    for (; s == ST_OK && a->open && a->walk < info->base + info->count; a->walk++) {
        uint32_t i = (uint32_t)(a->walk - info->base), tag = columns_tag(&c, i);
        uint8_t class = columns_priority(&c, i);
        bool wanted = (a->topics.wanted.data[tag / 8] >> tag % 8 & 1) && advance_concerns(a, class, a->walk);
        bool expired = false;
        if (wanted)
            s = advance_expired(a, v, info, a->walk, &expired);
        if (wanted && !expired && s == ST_OK)
            advance_stop(a, class, a->walk);
    }
    return s;
}

static enum status advance_tag(struct advance *a, struct view *v, uint64_t end)
{
    enum status s = ST_OK;
    while (s == ST_OK && a->open && a->walk < end && a->work > 0) {
        struct record_info info;
        s = lag_record(v, &a->topics, a->t, a->queue, a->walk, &info);
        if (s != ST_OK)
            break;
        advance_spend(a, WORK_RECORD + info.count / WORK_COLUMNS);
        if (info.expires_most <= a->now_ms)
            a->walk = info.base + info.count;
        else
            s = advance_record(a, v, &info);
        advance_skip(a);
    }
    return s;
}

static void advance_stretch(struct advance *a, uint8_t class, uint64_t to)
{
    struct sift_stretch s = {.gt = a->row.id,
                             .filter_ref = a->row.filter_ref,
                             .queue = a->queue,
                             .class = a->by_class ? class : SIFT_ANY_CLASS,
                             .from = a->from[class],
                             .to = to};
    if (s.to > s.from)
        sift_stretch_put(&a->sifted, &s);
}

/* Walks over a queue, and adds what was found out. What cannot be read ends the walk: a POP will meet it. */
static enum status advance_queue(struct advance *a, struct view *v)
{
    const struct lag_queue *q = lag_queue_of(&a->topics, a->t, a->queue);
    enum status s = ST_OK;
    advance_begin_queue(a, q->first);
    uint16_t classes = a->open;
    if (a->walk < q->end)
        s = a->row.filter_kind == FILTER_WHERE ? advance_where(a, v, q->end) : advance_tag(a, v, q->end);
    a->more = a->more || (s == ST_OK && a->open && a->walk < q->end);
    uint64_t at = a->walk < q->end ? a->walk : q->end;
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (classes & (1U << c))
            advance_stretch(a, c, a->open & (1U << c) ? at : a->to[c]);
    return s == ST_GONE || s == ST_DAMAGED ? ST_OK : s;
}

/* ---- one group ---- */

/* How many messages lie behind its cursor, matches or not. */
static uint64_t advance_behind(struct advance *a)
{
    uint64_t behind = 0;
    for (uint32_t q = 0; q < a->t->n_queues; q++) {
        const struct lag_queue *lq = lag_queue_of(&a->topics, a->t, q);
        uint64_t next = q < a->cursor.n_queues ? a->cursor.next[q] : 0;
        next = next > lq->first ? next : lq->first;
        behind += lq->end > next ? lq->end - next : 0;
    }
    return behind;
}

/* Reads its rows. ST_GONE: it, or its topic, was deleted. */
static enum status advance_begin(struct advance *a, struct view *v, struct slice topic)
{
    struct key key = key_cursor(a->row.id);
    enum status s = lag_topic(v, &a->topics, topic, &a->t);
    if (s == ST_OK && a->t->id != a->row.topic_id)
        s = ST_GONE;
    if (s == ST_OK)
        s = view_get(v, &key);
    if (s == ST_OK && cursor_decode(buf_slice(&v->row), &a->cursor) != ST_OK)
        s = view_damaged(v, &key);
    if (s == ST_OK)
        s = lag_fresh_cursors(v, a->t, &a->row, a->of_class);
    a->by_class = s == ST_OK && a->t->classes && !(a->row.flags & GROUP_ORDERED);
    return s;
}

/* Looks at a group. ST_OK: it can go on, as a->sifted says; ST_GONE: it cannot, or need not. */
static enum status advance_group(struct advance *a, struct view *v, struct slice topic)
{
    buf_reset(&a->sifted, KIB(64));
    a->rows += COST_GROUP;
    a->more = false;
    a->filter = NULL;
    enum status s = advance_begin(a, v, topic);
    if (s == ST_OK && advance_behind(a) < a->least)
        s = ST_GONE;
    if (s == ST_OK && a->row.filter_kind == FILTER_WHERE)
        s = where_parse(&a->row, &a->filter);
    for (a->queue = 0; s == ST_OK && a->queue < a->t->n_queues; a->queue++)
        s = advance_queue(a, v);
    free(a->filter);
    a->filter = NULL;
    if (s == ST_OK && a->sifted.failed)
        s = ST_NOMEM;
    return s == ST_OK && a->sifted.len == 0 ? ST_GONE : s;
}

/* ---- rows G ---- */

static bool advance_names(struct slice key, struct slice *ret_group, struct slice *ret_topic)
{
    const uint8_t *zero = memchr(key.data + 1, 0, key.len - 1);
    if (!zero)
        return false;
    *ret_group = slice_of(key.data + 1, (size_t)(zero - key.data) - 1);
    *ret_topic = slice_of(zero + 1, (size_t)(key.data + key.len - zero) - 1);
    return true;
}

/* The names in the row's key, kept for the caller. */
static enum status advance_keep(struct advance *a, struct slice key, struct advance_found *ret)
{
    buf_reset(&a->name, KIB(4));
    buf_put_slice(&a->name, key);
    if (a->name.failed)
        return ST_NOMEM;
    (void)advance_names(buf_slice(&a->name), &ret->group, &ret->topic);
    ret->sifted = buf_slice(&a->sifted);
    ret->more = a->more;
    return ST_OK;
}

/* Looks at the group of the row that the iterator stands on. */
static enum status advance_row(struct advance *a, struct view *v, const struct kv_iter *it, advance_due_fn *due,
                               void *arg)
{
    struct slice group, topic;
    bool reads = advance_names(kv_iter_key(it), &group, &topic) && group_decode(kv_iter_value(it), &a->row) == ST_OK;
    if (!reads || a->row.filter_kind == FILTER_NONE)
        return ST_GONE;
    a->met++;
    return due(arg, group, topic) ? advance_group(a, v, topic) : ST_GONE;
}

/* Goes over rows G. ST_GONE: there are no more. */
static enum status advance_rows(struct advance *a, struct view *v, struct kv_iter *it, advance_due_fn *due, void *arg,
                                struct advance_found *ret)
{
    for (; kv_iter_valid(it); kv_iter_next(it)) {
        a->at.len = 0;
        key_bytes(&a->at, kv_iter_key(it));
        if (a->rows++ >= ADVANCE_ROWS || a->work < ADVANCE_WORK)
            return ST_BUSY;
        key_u8(&a->at, 0); /* behind this row */
        if (advance_row(a, v, it, due, arg) == ST_OK)
            return advance_keep(a, kv_iter_key(it), ret);
    }
    return ST_GONE;
}

enum status advance_step(struct advance *a, struct view *v, int64_t now_ms, advance_due_fn *due, void *arg,
                         struct advance_found *ret)
{
    struct key all;
    key_begin(&all, 'G');
    struct kv_iter *it = view_rows(v, &all);
    if (!it)
        return ST_NOMEM;
    v->now_ms = a->now_ms = now_ms;
    a->work = ADVANCE_WORK;
    a->rows = 0;
    a->topics.n_topics = a->topics.n_queues = 0; /* of another view */
    lag_topics_init(&a->topics);
    kv_iter_seek(it, key_slice(a->at.len ? &a->at : &all));
    enum status s = advance_rows(a, v, it, due, arg, ret);
    if (s == ST_GONE) {
        a->at.len = 0;
        a->filtered = a->met;
        a->met = 0;
    }
    lag_topics_pause(&a->topics);
    kv_iter_free(it);
    return s;
}
