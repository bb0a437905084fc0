/* queue.c: what the writer remembers of a queue: its newest records, what came in the open group, and how many messages of
 * each PRIORITY it has had (queue.h). */
#include "storage/model/queue.h"

#include <stdlib.h>

void queue_freshen(const struct state *st, struct queue *q)
{
    if (q->fresh_group == st->group)
        return;
    q->fresh_group = st->group;
    q->fresh_base = q->end;
}

/* The i-th oldest place that is remembered. */
static const struct record_info *queue_place(const struct queue *q, uint32_t i)
{
    uint32_t first = q->n_recent < q->recent_size ? 0 : q->recent_at;
    return &q->recent[(first + i) % q->recent_size];
}

/* Makes the ring twice as long, with the oldest place first. Without memory the state is sick: the store does not have the
 * open group's records yet, so POP would not find them, and how much memory there is must not decide what it delivers. */
static void queue_grow(struct state *st, struct queue *q)
{
    uint32_t size = q->recent_size ? 2 * q->recent_size : RECENT_RECORDS;
    struct record_info *recent = malloc(size * sizeof(*recent));
    st->sick = st->sick || !recent;
    if (!recent)
        return;
    for (uint32_t i = 0; i < q->n_recent; i++)
        recent[i] = *queue_place(q, i);
    free(q->recent);
    q->recent = recent;
    q->recent_at = q->n_recent;
    q->recent_size = size;
}

void queue_remember(struct state *st, struct queue *q, const struct record_info *info)
{
    bool full = q->n_recent == q->recent_size;
    bool needed = full && q->recent_size < RECENT_RECORDS_MAX &&
                  (!q->recent || q->recent[q->recent_at].index == st->group_index);
    if (needed)
        queue_grow(st, q);
    if (!q->recent)
        return;
    q->recent[q->recent_at] = *info;
    q->recent_at = (q->recent_at + 1) % q->recent_size;
    if (q->n_recent < q->recent_size)
        q->n_recent++;
}

bool queue_unwritten(const struct state *st, const struct queue *q, uint64_t offset)
{
    return q->fresh_group == st->group && offset >= q->fresh_base;
}

/* Places are remembered in the order of their offsets. */
const struct record_info *queue_recall(const struct queue *q, uint64_t offset)
{
    uint32_t low = 0, high = q->n_recent;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct record_info *info = queue_place(q, middle);
        if (offset < info->base)
            high = middle;
        else if (offset - info->base < info->count)
            return info;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- classes ---- */

/* What is known of the queue's classes. NULL: no memory, and the state is sick. */
static struct queue_classes *queue_classes_of(struct state *st, struct queue *q)
{
    if (!q->classes)
        q->classes = calloc(1, sizeof(*q->classes));
    st->sick = st->sick || !q->classes;
    return q->classes;
}

/* Reads the last row F of a class that the store has. A later one was put by somebody who knew it. */
static enum status queue_class_last(struct state *st, const struct topic *t, uint32_t queue, uint8_t class,
                                struct queue_classes *qc)
{
    struct key from = key_class(t->id, queue, class, 0), to = key_class(t->id, queue, class, UINT64_MAX);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    struct class_row row;
    if (!it)
        return ST_NOMEM;
    kv_iter_floor(it, key_slice(&to));
    enum status s = kv_iter_status(it);
    if (s == ST_OK && kv_iter_valid(it)) {
        struct slice key = kv_iter_key(it);
        s = class_decode(kv_iter_value(it), &row) == ST_OK ? ST_OK : kv_damaged_row(st->kv, key);
        if (s == ST_OK) {
            qc->had[class] = row.before + row.count;
            qc->last[class] = key_read_u64(key.data + key.len - 8);
            qc->some |= (uint16_t)(1U << class);
        }
    }
    kv_iter_free(it);
    return s == ST_DAMAGED ? ST_OK : s;
}

void queue_put_classes(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                 const uint32_t counts[CLASSES_MAX])
{
    struct queue_classes *qc = queue_classes_of(st, &t->queues[queue]);
    for (uint8_t c = 0; qc && c < CLASSES_MAX; c++) {
        uint16_t bit = (uint16_t)(1U << c);
        if (!counts[c])
            continue;
        if (!(qc->known & bit) && queue_class_last(st, t, queue, c, qc) != ST_OK)
            st->sick = true;
        qc->known |= bit;
        qc->some |= bit;
        struct class_row row = {.before = qc->had[c], .count = counts[c]};
        struct key key = key_class(t->id, queue, c, info->base);
        buf_reset(&st->columns.class_row, KIB(1));
        class_encode(&st->columns.class_row, &row);
        st->sick = st->sick || st->columns.class_row.failed;
        core_put(st, &key, buf_slice(&st->columns.class_row));
        qc->had[c] += counts[c];
        qc->last[c] = info->base;
    }
}

void queue_purge_classes(struct state *st, struct topic *t)
{
    for (uint32_t q = 0; t->classes && q < t->n_queues; q++) {
        struct queue_classes *qc = queue_classes_of(st, &t->queues[q]);
        if (qc) /* the rows are deleted with this group: nobody may look for them before */
            *qc = (struct queue_classes){.known = UINT16_MAX};
    }
}

void queue_cut_classes(struct state *st, struct topic *t, uint32_t queue, uint64_t floor)
{
    struct queue_classes *qc = t->classes ? queue_classes_of(st, &t->queues[queue]) : NULL;
    for (uint8_t c = 0; qc && c < CLASSES_MAX; c++) {
        uint16_t bit = (uint16_t)(1U << c);
        if (!(t->classes & bit))
            continue;
        if (!(qc->known & bit) && queue_class_last(st, t, queue, c, qc) != ST_OK)
            st->sick = true;
        qc->known |= bit;
        uint64_t end = !(qc->some & bit) || qc->last[c] < floor ? qc->last[c] : floor;
        struct key from = key_class(t->id, queue, c, 0), to = key_class(t->id, queue, c, end);
        if (end > 0)
            kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
    }
}
