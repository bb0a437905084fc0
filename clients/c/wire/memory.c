/* memory.c: a limit that several threads take from; see memory.h. */
#include "clients/c/wire/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

struct memory {
    size_t max;
    _Atomic size_t used, promised;
    _Atomic size_t users; /* its owner, and each piece that is taken */
};

struct memory *memory_new(size_t max)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->max = max;
    atomic_init(&m->users, 1);
    return m;
}

void memory_drop(struct memory *m)
{
    if (m && atomic_fetch_sub(&m->users, 1) == 1)
        free(m);
}

bool memory_take(struct memory *m, size_t bytes, bool asked)
{
    if (!m)
        return true;
    size_t used = atomic_load(&m->used);
    do {
        size_t max = asked || used == 0 ? 4 * m->max : m->max;
        if (bytes > max || used > max - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&m->used, &used, used + bytes));
    atomic_fetch_add(&m->users, 1);
    return true;
}

void memory_give(struct memory *m, size_t bytes)
{
    if (!m)
        return;
    atomic_fetch_sub(&m->used, bytes);
    memory_drop(m);
}

size_t memory_used(const struct memory *m)
{
    return m ? atomic_load(&m->used) : 0;
}

size_t memory_max(const struct memory *m)
{
    return m ? m->max : SIZE_MAX;
}

void memory_promise(struct memory *m, size_t *own, size_t bytes)
{
    if (m && bytes != *own)
        atomic_fetch_add(&m->promised, bytes - *own); /* it wraps where it becomes less */
    *own = bytes;
}

size_t memory_left(const struct memory *m)
{
    size_t used = memory_used(m) + (m ? atomic_load(&m->promised) : 0), max = memory_max(m);
    return used < max ? max - used : 0;
}
