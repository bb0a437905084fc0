/*
 * agenda.h: what a worker has to do later, soonest first.
 *
 * Entries are never taken back: whoever is reminded looks whether there is still something to do.
 * Each op and each link puts down at most one of a kind at a time, so the room asked for at the
 * start always suffices.
 */
#ifndef HALFMQ_BENCH_AGENDA_H
#define HALFMQ_BENCH_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/heap.h"

struct reminder {
    int64_t at_ns;
    void *owner;
    uint32_t what;
};

struct agenda {
    struct heap heap;
    struct agenda_entry *entries, *spare; /* all of them; those that hold nothing */
};

bool agenda_init(struct agenda *a, size_t size); /* false: no memory */
void agenda_fini(struct agenda *a);

void agenda_put(struct agenda *a, int64_t at_ns, void *owner, uint32_t what);

/* Takes the soonest if it is due. */
bool agenda_take(struct agenda *a, int64_t now_ns, struct reminder *ret_reminder);

/* When the soonest is due; INT64_MAX where there is none. */
static inline int64_t agenda_next(const struct agenda *a)
{
    const struct heap_node *first = heap_first(&a->heap);
    return first ? first->due : INT64_MAX;
}

#endif
