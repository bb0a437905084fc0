/* agenda.c: entry i has its children at 2i + 1 and 2i + 2, none of them sooner than itself. */
#include "bench/load/agenda.h"

#include <assert.h>
#include <stdlib.h>

bool agenda_init(struct agenda *a, size_t size)
{
    *a = (struct agenda){.heap = calloc(size + 1, sizeof *a->heap), .size = size};
    return a->heap != NULL;
}

void agenda_fini(struct agenda *a)
{
    free(a->heap);
    *a = (struct agenda){0};
}

void agenda_put(struct agenda *a, int64_t at_ns, void *owner, uint32_t what)
{
    assert(a->n < a->size);
    size_t i = a->n++;
    while (i > 0 && a->heap[(i - 1) / 2].at_ns > at_ns) {
        a->heap[i] = a->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    a->heap[i] = (struct reminder){at_ns, owner, what};
}

bool agenda_take(struct agenda *a, int64_t now_ns, struct reminder *ret_reminder)
{
    if (a->n == 0 || a->heap[0].at_ns > now_ns)
        return false;
    *ret_reminder = a->heap[0];
    struct reminder last = a->heap[--a->n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < a->n) {
        if (child + 1 < a->n && a->heap[child + 1].at_ns < a->heap[child].at_ns)
            child++;
        if (a->heap[child].at_ns >= last.at_ns)
            break;
        a->heap[i] = a->heap[child];
        i = child;
    }
    a->heap[i] = last;
    return true;
}
