/* asks.c: the ring of check-backs that one member was handed and has not answered yet (asks.h draws it). */
#include "broker/checks/asks.h"

#include <assert.h>
#include <stdlib.h>

#define RING_MIN 8

static struct ask *at(const struct asks *a, uint32_t id)
{
    return &a->ring[id & (a->size - 1)];
}

/* Moves the start of the window past entries that were answered. */
static void close_up(struct asks *a)
{
    while (a->first != a->next && !at(a, a->first)->txid)
        a->first++;
}

enum status asks_reserve(struct asks *a)
{
    if (a->next - a->first < a->size || a->size == ASKS_MAX)
        return ST_OK;
    uint32_t size = a->size ? 2 * a->size : RING_MIN;
    struct ask *ring = calloc(size, sizeof *ring);
    if (!ring)
        return ST_NOMEM;
    for (uint32_t id = a->first; id != a->next; id++)
        ring[id & (size - 1)] = *at(a, id);
    free(a->ring);
    a->ring = ring;
    a->size = size;
    return ST_OK;
}

uint32_t asks_add(struct asks *a, struct ask ask)
{
    assert(a->size > 0 && ask.txid);
    struct ask forgotten;
    if (a->next - a->first == a->size) {
        bool any = asks_pop(a, &forgotten);
        assert(any);
    }
    *at(a, a->next) = ask;
    a->n++;
    return a->next++;
}

bool asks_take(struct asks *a, uint32_t id, struct ask *ret_ask)
{
    if (id - a->first >= a->next - a->first || !at(a, id)->txid)
        return false;
    *ret_ask = *at(a, id);
    at(a, id)->txid = 0;
    a->n--;
    close_up(a);
    return true;
}

bool asks_pop(struct asks *a, struct ask *ret_ask)
{
    return a->n > 0 && asks_take(a, a->first, ret_ask);
}

void asks_trim(struct asks *a)
{
    if (a->n == 0)
        asks_fini(a);
}

void asks_fini(struct asks *a)
{
    free(a->ring);
    a->ring = NULL;
    a->size = 0;
    a->n = 0;
    a->first = a->next;
}
