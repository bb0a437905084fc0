/* ahead.c: a table of slots of fixed size, each for one queue at a time (ahead.h). */
#include "storage/disk/ahead.h"

#include <stdlib.h>

/* The queues of a topic lie side by side, so those of one topic do not displace each other. */
static uint32_t ahead_place(uint64_t topic, uint32_t queue)
{
    return (uint32_t)((topic * UINT64_C(0x9e3779b97f4a7c15)) >> 40) + queue;
}

const struct record_info *ahead_recall(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t offset)
{
    const struct ahead_slot *slot = a->slots[ahead_place(topic, queue) % AHEAD_SLOTS];
    if (!slot || slot->topic != topic || slot->queue != queue)
        return NULL;
    for (uint32_t i = 0; i < slot->n; i++) {
        const struct record_info *row = &slot->rows[i];
        if (offset >= row->base && offset - row->base < row->count)
            return row;
    }
    return NULL;
}

struct ahead_slot *ahead_slot(struct ahead *a, uint64_t topic, uint32_t queue)
{
    struct ahead_slot **slot = &a->slots[ahead_place(topic, queue) % AHEAD_SLOTS];
    if (!*slot)
        *slot = malloc(sizeof(**slot));
    if (!*slot)
        return NULL;
    (*slot)->topic = topic;
    (*slot)->queue = queue;
    (*slot)->n = 0;
    return *slot;
}

void ahead_free(struct ahead *a)
{
    for (uint32_t i = 0; i < AHEAD_SLOTS; i++)
        free(a->slots[i]);
}
