/*
 * topic.c: topics in memory: loads, creates and saves them, and picks the queue of a message (topic.h). Appending
 * is in tail.c, reading in log.c, deleting in drop.c.
 */
#include "storage/model/topic.h"

#include <stdlib.h>

#include "storage/disk/records.h"

#define TOPIC_OVERHEAD 64 /* what the heap adds */

void topic_free(struct topic *t)
{
    if (!t)
        return;
    for (uint32_t q = 0; t->queues && q < t->n_queues; q++) {
        free(t->queues[q].recent);
        free(t->queues[q].classes);
    }
    free(t->queues);
    free((void *)(uintptr_t)t->name.data);
    free(t);
}

static struct topic *topic_new(struct slice name, uint32_t n_queues)
{
    struct topic *t = calloc(1, sizeof(*t));
    uint8_t *copy = malloc(name.len);
    struct queue *queues = calloc(n_queues, sizeof(*queues));
    if (!t || !copy || !queues) {
        free(t);
        free(copy);
        free(queues);
        return NULL;
    }
    memcpy(copy, name.data, name.len);
    t->name = slice_of(copy, name.len);
    t->news.key = news_key(NEWS_TOPIC, t->name, slice_of(NULL, 0));
    t->n_queues = n_queues;
    t->queues = queues;
    return t;
}

void topic_save(struct state *st, struct topic *t)
{
    struct topic_row row = {.id = t->id,
                            .flags = t->flags,
                            .compress = t->compress,
                            .n_queues = t->n_queues,
                            .order_queues = t->order_queues,
                            .turn = t->rr,
                            .created_ms = t->created_ms,
                            .delayed = t->delayed,
                            .purges = t->purges,
                            .retention_ms = t->retention_ms,
                            .max_bytes = t->max_bytes,
                            .cut_ms = t->cut_ms,
                            .classes = t->classes,
                            .removed = t->removed};
    t->rr_saved = t->rr;
    for (uint32_t q = 0; q < t->n_queues; q++)
        row.floor[q] = t->queues[q].floor;
    buf_reset(&st->scratch2, KIB(64));
    topic_encode(&st->scratch2, &row);
    struct key key = key_topic(t->name);
    overlay_put(&st->overlay, &key, core_row(st));
}

void topic_touch(struct state *st, struct topic *t)
{
    if (t->touched)
        return;
    t->touched = true;
    t->next_touched = st->touched_topics;
    st->touched_topics = t;
}

void topics_save(struct state *st)
{
    while (st->touched_topics) {
        struct topic *t = st->touched_topics;
        st->touched_topics = t->next_touched;
        t->touched = false;
        topic_save(st, t);
    }
}

/* Finds the end of each queue: behind its last record. */
static enum status topic_find_ends(struct state *st, struct topic *t)
{
    struct directory *d = finder_directory(&st->finder, t->id, t->compress);
    if (!d)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (uint32_t i = 0; i < t->n_queues && (s == ST_OK || s == ST_GONE); i++) {
        struct queue *q = &t->queues[i];
        struct record_info last = {0};
        q->end = q->floor;
        s = directory_last(d, i, &last);
        if (s == ST_OK && last.base + last.count > q->end)
            q->end = last.base + last.count;
        q->total = last.total;
    }
    return s == ST_GONE ? ST_OK : s;
}

static size_t topic_bytes(const struct topic *t)
{
    size_t bytes = sizeof(*t) + t->name.len + TOPIC_OVERHEAD + t->n_queues * sizeof(*t->queues);
    for (uint32_t q = 0; q < t->n_queues; q++)
        bytes += t->queues[q].recent_size * sizeof(*t->queues[q].recent) +
                 (t->queues[q].classes ? sizeof(*t->queues[q].classes) : 0);
    return bytes;
}

static void topic_add(struct state *st, struct topic *t)
{
    hash_add(&st->topics, &t->node, text_hash(t->name));
    lru_add(&st->lru, &t->lru, LRU_TOPIC, topic_bytes(t));
}

void topic_measure(struct state *st, struct topic *t)
{
    lru_resize(&st->lru, &t->lru, topic_bytes(t));
}

void topic_forget(struct state *st, struct topic *t)
{
    hash_remove(&st->topics, &t->node);
    lru_remove(&st->lru, &t->lru);
    st->last_topic = NULL;
    t->gone = true;
    if (t->n_gts == 0)
        topic_free(t);
}

void topic_release(struct topic *t)
{
    assert(t->n_gts > 0);
    t->n_gts--;
    if (t->n_gts == 0 && t->gone)
        topic_free(t);
}

/* endless: it is loaded also where the end of a queue is damaged. */
static enum status topic_load(struct state *st, struct slice name, bool endless, struct topic **ret_topic)
{
    struct key key = key_topic(name);
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch2);
    if (s != ST_OK)
        return s;
    struct topic_row row;
    s = topic_decode(buf_slice(&st->scratch2), &row);
    if (s != ST_OK)
        return core_bad_row(st, &key);
    struct topic *t = topic_new(name, row.n_queues);
    if (!t)
        return ST_NOMEM;
    t->id = row.id;
    t->flags = row.flags;
    t->compress = row.compress;
    t->order_queues = row.order_queues;
    t->rr = t->rr_saved = row.turn;
    t->created_ms = row.created_ms;
    t->delayed = row.delayed;
    t->purges = row.purges;
    t->retention_ms = row.retention_ms;
    t->max_bytes = row.max_bytes;
    t->cut_ms = row.cut_ms;
    t->classes = row.classes;
    t->removed = row.removed;
    for (uint32_t q = 0; q < row.n_queues; q++)
        t->queues[q].floor = row.floor[q];
    s = topic_find_ends(st, t);
    if (s != ST_OK && !(endless && s == ST_DAMAGED)) {
        topic_free(t);
        return s;
    }
    topic_add(st, t);
    *ret_topic = t;
    return ST_OK;
}

/* The topic, or NULL where it is not in memory. Not inlined, so that topic_get stays small where it finds the same
 * topic again. */
__attribute__((noinline)) static struct topic *topic_in_memory(const struct state *st, struct slice name)
{
    struct hash_node *node = hash_first(&st->topics, text_hash(name));
    while (node && !slice_equal(((struct topic *)node)->name, name))
        node = hash_more(node);
    return (struct topic *)node;
}

enum status topic_get(struct state *st, struct slice name, struct topic **ret_topic)
{
    struct topic *t = st->last_topic;
    if (!t || !slice_equal(t->name, name))
        t = topic_in_memory(st, name);
    if (!t)
        return topic_load(st, name, false, ret_topic);
    lru_use(&t->lru);
    *ret_topic = st->last_topic = t;
    return ST_OK;
}

enum status topic_get_to_delete(struct state *st, struct slice name, struct topic **ret_topic)
{
    enum status s = topic_get(st, name, ret_topic);
    return s == ST_DAMAGED ? topic_load(st, name, true, ret_topic) : s;
}

enum status topic_create(struct state *st, int64_t now_ms, struct slice name,
                         const struct topic_settings *set, struct topic **ret_topic)
{
    struct topic *t = NULL;
    enum status s = topic_get(st, name, &t);
    if (s == ST_OK)
        return ST_EXISTS;
    if (s != ST_GONE)
        return s;
    if (st->meta.topics >= (set->reserved ? TOPICS_MAX + TOPICS_RESERVE : TOPICS_MAX))
        return ST_LIMIT;
    s = kv_need(st->kv, records_family(set->compress));
    if (s != ST_OK)
        return s;
    t = topic_new(name, set->n_queues);
    if (!t)
        return ST_NOMEM;
    topic_add(st, t);
    t->id = core_next_ref(st);
    t->order_queues = set->n_queues;
    t->compress = set->compress;
    t->retention_ms = set->retention_ms;
    t->max_bytes = set->max_bytes;
    t->created_ms = now_ms;
    for (uint32_t q = 0; q < t->n_queues; q++)
        t->queues[q].floor = t->queues[q].end = st->meta.first_offset;
    st->meta.topics++;
    topic_save(st, t);
    *ret_topic = t;
    return ST_OK;
}

enum status topic_grow(struct state *st, struct topic *t, uint32_t n_queues)
{
    assert(n_queues >= t->n_queues && n_queues <= QUEUES_MAX);
    if (n_queues == t->n_queues)
        return ST_OK;
    struct queue *queues = realloc(t->queues, n_queues * sizeof(*queues));
    if (!queues)
        return ST_NOMEM;
    for (uint32_t q = t->n_queues; q < n_queues; q++)
        queues[q] = (struct queue){.floor = st->meta.first_offset, .end = st->meta.first_offset};
    t->queues = queues;
    t->n_queues = n_queues;
    topic_measure(st, t);
    topic_touch(st, t);
    return ST_OK;
}

enum status topic_find(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic)
{
    struct topic *t = NULL;
    enum status s = topic_get(st, name, &t);
    if (s != ST_OK && s != ST_GONE)
        return s;
    if (!t && !stamp->policy->auto_create_topics)
        return ST_NOTOPIC;
    *ret_topic = t;
    return ST_OK;
}

enum status topic_need(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic)
{
    enum status s = topic_get(st, name, ret_topic);
    if (s != ST_GONE)
        return s;
    if (!stamp->policy->auto_create_topics)
        return ST_NOTOPIC;
    static const struct topic_settings set = {.n_queues = QUEUES_DEFAULT};
    return topic_create(st, stamp->now_ms, name, &set, ret_topic);
}

uint32_t topic_route(struct topic *t, const struct message *m, const uint32_t *queue)
{
    if (m->fields & MSG_ORDER)
        return (uint32_t)(text_hash(m->order) % t->order_queues);
    if (queue)
        return *queue % t->n_queues;
    uint32_t turn = t->rr;
    t->rr = turn + 1 < t->n_queues ? turn + 1 : 0;
    return turn;
}
