/* ahead.c: a table of slots of fixed size, each for one queue at a time (ahead.h). */
#include "storage/disk/ahead.h"

#include <stdlib.h>
#include <string.h>

/* The queues of a topic lie side by side, so those of one topic do not displace each other. */
static uint32_t ahead_place(uint64_t topic, uint32_t queue)
{
    return (uint32_t)((topic * UINT64_C(0x9e3779b97f4a7c15)) >> 40) + queue;
}

/* The slot, if it is the queue's. */
static const struct ahead_slot *ahead_of(const struct ahead *a, uint64_t topic, uint32_t queue)
{
    const struct ahead_slot *slot = a->slots[ahead_place(topic, queue) % AHEAD_SLOTS];
    return slot && slot->topic == topic && slot->queue == queue ? slot : NULL;
}

const struct record_info *ahead_recall(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t offset)
{
    const struct ahead_slot *slot = ahead_of(a, topic, queue);
    for (uint32_t i = 0; slot && i < slot->n; i++) {
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
        *slot = calloc(1, sizeof(**slot));
    if (!*slot)
        return NULL;
    (*slot)->topic = topic;
    (*slot)->queue = queue;
    (*slot)->n = (*slot)->size = 0;
    return *slot;
}

/* True where the value fits into the slot; without memory none does. */
static bool ahead_has_room(struct ahead *a, struct ahead_slot *slot, size_t bytes)
{
    if (!slot->values && a->n_values < AHEAD_VALUES) {
        slot->values = malloc(AHEAD_VALUE_BYTES);
        a->n_values += slot->values != NULL;
    }
    return slot->values && bytes + slot->size <= AHEAD_VALUE_BYTES;
}

void ahead_add(struct ahead *a, struct ahead_slot *slot, const struct record_info *info, struct slice value)
{
    if (info->columns && value.len && ahead_has_room(a, slot, value.len)) {
        memcpy(slot->values + slot->size, value.data, value.len);
        slot->size += (uint32_t)value.len;
    }
    slot->rows[slot->n] = *info;
    slot->ends[slot->n++] = slot->size;
}

struct slice ahead_value(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t base)
{
    const struct ahead_slot *slot = ahead_of(a, topic, queue);
    for (uint32_t i = 0, from = 0; slot && i < slot->n; from = slot->ends[i++])
        if (slot->rows[i].base == base)
            return slot->ends[i] > from ? slice_of(slot->values + from, slot->ends[i] - from) : slice_of(NULL, 0);
    return slice_of(NULL, 0);
}

void ahead_free(struct ahead *a)
{
    for (uint32_t i = 0; i < AHEAD_SLOTS; i++) {
        if (a->slots[i])
            free(a->slots[i]->values);
        free(a->slots[i]);
    }
}
