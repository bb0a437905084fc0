/* slots.c: an array of slots that grows; free slots are linked through next_free. */
#include "broker/net/slots.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS_MIN 64

void slots_init(struct slots *ss)
{
    *ss = (struct slots){.free = UINT32_MAX};
    pthread_mutex_init(&ss->lock, NULL);
}

void slots_fini(struct slots *ss)
{
    assert(ss->n == 0);
    free(ss->slot);
    pthread_mutex_destroy(&ss->lock);
}

static enum status slots_grow(struct slots *ss)
{
    uint32_t size = ss->size ? ss->size * 2 : SLOTS_MIN;
    struct conn_slot *slot = realloc(ss->slot, size * sizeof *slot);
    if (!slot)
        return ST_NOMEM;
    for (uint32_t i = ss->size; i < size; i++)
        slot[i] = (struct conn_slot){.next_free = i + 1 < size ? i + 1 : UINT32_MAX};
    ss->free = ss->size;
    ss->slot = slot;
    ss->size = size;
    return ST_OK;
}

enum status slots_take(struct slots *ss, struct conn *c, uint32_t *ret_slot, uint32_t *ret_generation)
{
    pthread_mutex_lock(&ss->lock);
    enum status s = ss->free == UINT32_MAX ? slots_grow(ss) : ST_OK;
    if (s == ST_OK) {
        struct conn_slot *slot = &ss->slot[ss->free];
        *ret_slot = ss->free;
        *ret_generation = ++slot->generation;
        ss->free = slot->next_free;
        slot->conn = c;
        ss->n++;
    }
    pthread_mutex_unlock(&ss->lock);
    return s;
}

void slots_release(struct slots *ss, uint32_t slot)
{
    pthread_mutex_lock(&ss->lock);
    ss->slot[slot].conn = NULL;
    ss->slot[slot].next_free = ss->free;
    ss->free = slot;
    ss->n--;
    pthread_mutex_unlock(&ss->lock);
}
