/* queue.c: what the writer remembers of a queue: its newest records, and what came in the open group (queue.h). */
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

/* Makes the ring twice as long, with the oldest place first. Without memory the ring stays as it is. */
static void queue_grow(struct queue *q)
{
    uint32_t size = q->recent_size ? 2 * q->recent_size : RECENT_RECORDS;
    struct record_info *recent = malloc(size * sizeof(*recent));
    if (!recent)
        return;
    for (uint32_t i = 0; i < q->n_recent; i++)
        recent[i] = *queue_place(q, i);
    free(q->recent);
    q->recent = recent;
    q->recent_at = q->n_recent;
    q->recent_size = size;
}

void queue_remember(const struct state *st, struct queue *q, const struct record_info *info)
{
    bool full = q->n_recent == q->recent_size;
    bool needed = full && q->recent_size < RECENT_RECORDS_MAX &&
                  (!q->recent || q->recent[q->recent_at].index == st->group_index);
    if (needed)
        queue_grow(q);
    if (!q->recent)
        return; /* the place will be looked up in the store, which is only slower */
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
