/*
 * agenda.c: all entries are made at the start; one is either in the heap, by its time, or among the spare ones.
 */
#include "bench/load/agenda.h"

#include <assert.h>
#include <stdlib.h>

struct agenda_entry {
    struct heap_node node; /* first, so that a node is its entry */
    void *owner;
    uint32_t what;
    struct agenda_entry *next; /* spare ones */
};

static void agenda_spare(struct agenda *a, struct agenda_entry *e)
{
    e->next = a->spare;
    a->spare = e;
}

bool agenda_init(struct agenda *a, size_t size)
{
    *a = (struct agenda){.entries = calloc(size + 1, sizeof(struct agenda_entry))};
    for (size_t i = 0; a->entries && i < size; i++)
        agenda_spare(a, &a->entries[i]);
    return a->entries && heap_reserve(&a->heap, (uint32_t)size);
}

void agenda_fini(struct agenda *a)
{
    heap_free(&a->heap);
    free(a->entries);
    *a = (struct agenda){0};
}

void agenda_put(struct agenda *a, int64_t at_ns, void *owner, uint32_t what)
{
    struct agenda_entry *e = a->spare;
    assert(e);
    a->spare = e->next;
    e->owner = owner;
    e->what = what;
    heap_put(&a->heap, &e->node, at_ns);
}

bool agenda_take(struct agenda *a, int64_t now_ns, struct reminder *ret_reminder)
{
    struct agenda_entry *e = (struct agenda_entry *)heap_first(&a->heap);
    if (!e || e->node.due > now_ns)
        return false;
    *ret_reminder = (struct reminder){e->node.due, e->owner, e->what};
    heap_remove(&a->heap, &e->node);
    agenda_spare(a, e);
    return true;
}
