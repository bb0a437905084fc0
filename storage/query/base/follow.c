/*
 * follow.c: live copies of a topic (query.h). A follower is a position in each queue. In a topic that was deleted and
 * made again it starts at the first offsets.
 */
#include "storage/query/base/view.h"

#include <stdlib.h>

#include "storage/disk/directory.h"

/* Finds the next offset of each queue of v->topic. */
static enum status follower_ends(struct view *v, uint64_t *next)
{
    struct directory d;
    if (!directory_open(&d, v->kv, v->snap, v->topic.id, v->topic.compress))
        return ST_NOMEM;
    enum status s = ST_OK;
    for (uint32_t q = 0; q < v->topic.n_queues && s == ST_OK; q++) {
        struct record_info last;
        next[q] = v->topic.floor[q];
        s = directory_last(&d, q, &last);
        if (s == ST_OK && last.base + last.count > next[q])
            next[q] = last.base + last.count;
        s = s == ST_GONE ? ST_OK : s;
    }
    directory_close(&d);
    return s;
}

/* Puts the follower at the ends (ends true) or at the first offsets of v->topic. */
static enum status follower_stand(struct follower *f, struct view *v, bool ends)
{
    uint64_t *next = calloc(v->topic.n_queues, sizeof(*next));
    if (!next)
        return ST_NOMEM;
    enum status s = ends ? follower_ends(v, next) : ST_OK;
    if (s != ST_OK) {
        free(next);
        return s;
    }
    free(f->next);
    f->next = next;
    f->n_queues = v->topic.n_queues;
    f->topic_id = v->topic.id;
    return ST_OK;
}

/* The topic may have got more queues since. */
static enum status follower_widen(struct follower *f, const struct view *v)
{
    if (f->n_queues >= v->topic.n_queues)
        return ST_OK;
    uint64_t *next = realloc(f->next, v->topic.n_queues * sizeof(*next));
    if (!next)
        return ST_NOMEM;
    for (uint32_t q = f->n_queues; q < v->topic.n_queues; q++)
        next[q] = v->topic.floor[q];
    f->next = next;
    f->n_queues = v->topic.n_queues;
    return ST_OK;
}

enum status follower_init(struct follower *f, struct view *v, struct slice topic)
{
    *f = (struct follower){0};
    enum status s = view_topic(v, topic);
    if (s == ST_GONE)
        return ST_OK;
    return s == ST_OK ? follower_stand(f, v, true) : s;
}

void follower_fini(struct follower *f)
{
    free(f->next);
    *f = (struct follower){0};
}

/* Calls fn for the messages of a record from f->next[q] on, which moves behind each. */
static enum status follower_record(struct follower *f, uint32_t q, struct slice record, const struct record_header *h,
                                   size_t *left, bool (*fn)(void *arg, struct slice body), void *arg)
{
    while (f->next[q] - h->base < h->count && *left > 0) {
        struct message m;
        if (record_message(record, h, (uint32_t)(f->next[q] - h->base), &m) != ST_OK)
            return ST_DAMAGED;
        if (!fn(arg, m.body)) {
            *left = 0;
            break;
        }
        *left -= m.body.len + 1 < *left ? m.body.len + 1 : *left;
        f->next[q]++;
    }
    return ST_OK;
}

/* Moves the follower behind messages that cannot be read. */
static enum status follower_pass_lost(struct follower *f, struct view *v, struct slice topic, uint32_t q)
{
    uint64_t first = 0, last = 0;
    enum status s = view_find_lost(v, topic, q, f->next[q], &first, &last);
    if (s == ST_DAMAGED)
        f->next[q] = last + 1;
    return s == ST_DAMAGED ? ST_OK : s;
}

/* Calls fn for new messages of one queue. False: max_bytes are used up, or fn wants no more. */
static bool follower_queue(struct follower *f, struct view *v, struct slice topic, uint32_t q, size_t *left,
                           bool (*fn)(void *arg, struct slice body), void *arg)
{
    struct kv_iter *it = view_log(v, q);
    if (!it)
        return true;
    struct record_header h;
    if (f->next[q] < v->topic.floor[q])
        f->next[q] = v->topic.floor[q];
    enum status s = records_seek(it, f->topic_id, q, f->next[q], &h);
    while ((s == ST_OK || s == ST_DAMAGED) && *left > 0) {
        bool holds = s == ST_OK && h.base <= f->next[q];
        s = holds ? follower_record(f, q, kv_iter_value(it), &h, left, fn, arg) : ST_DAMAGED;
        if (s == ST_OK && *left > 0) {
            kv_iter_next(it);
            s = records_header(it, &h);
        } else if (s == ST_DAMAGED) {
            s = follower_pass_lost(f, v, topic, q);
            s = s == ST_OK ? records_seek(it, f->topic_id, q, f->next[q], &h) : s;
        }
    }
    kv_iter_free(it);
    return *left > 0;
}

bool follower_read(struct follower *f, struct view *v, struct slice topic, size_t max_bytes,
                   bool (*fn)(void *arg, struct slice body), void *arg)
{
    if (view_topic(v, topic) != ST_OK)
        return false;
    bool other = f->topic_id != v->topic.id;
    enum status s = other ? follower_stand(f, v, false) : follower_widen(f, v);
    if (s != ST_OK)
        return false;
    size_t left = max_bytes;
    for (uint32_t q = 0; q < f->n_queues; q++)
        if (!follower_queue(f, v, topic, q, &left, fn, arg))
            return true;
    return false;
}
