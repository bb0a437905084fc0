/* memory.c: a limit that several threads take from, and blocks that they use again; see memory.h. */
#include "clients/c/wire/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "clients/c/wire/blocks.h"

struct memory {
    size_t max;
    struct blocks blocks;
    _Atomic size_t used, promised;
    _Atomic size_t users; /* its owner, and each piece that is taken */
};

struct memory *memory_new(size_t max)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m || !blocks_init(&m->blocks)) {
        free(m);
        return NULL;
    }
    m->max = max;
    atomic_init(&m->users, 1);
    return m;
}

void memory_drop(struct memory *m)
{
    if (!m || atomic_fetch_sub(&m->users, 1) != 1)
        return;
    blocks_fini(&m->blocks);
    free(m);
}

/* What may be taken and kept together. */
static size_t memory_most(const struct memory *m)
{
    return m->max <= SIZE_MAX / 4 ? 4 * m->max : SIZE_MAX;
}

/* The blocks that are kept give way to what is taken. */
static void memory_settle(struct memory *m)
{
    if (blocks_bytes(&m->blocks) > 0 && memory_total(m) > memory_most(m))
        blocks_clear(&m->blocks);
}

bool memory_take(struct memory *m, size_t bytes, bool asked)
{
    if (!m)
        return true;
    size_t used = atomic_load(&m->used);
    do {
        size_t max = asked || used == 0 ? memory_most(m) : m->max;
        if (bytes > max || used > max - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&m->used, &used, used + bytes));
    atomic_fetch_add(&m->users, 1);
    memory_settle(m);
    return true;
}

void memory_give(struct memory *m, size_t bytes)
{
    if (!m)
        return;
    atomic_fetch_sub(&m->used, bytes);
    memory_drop(m);
}

void *memory_block(struct memory *m, size_t *size, bool asked)
{
    size_t wanted = m ? blocks_size(*size) : *size;
    if (!memory_take(m, wanted, asked))
        return NULL;
    *size = wanted;
    void *block = blocks_take(m ? &m->blocks : NULL, size);
    if (!block)
        memory_give(m, wanted);
    else if (m) /* a larger one was kept: both together are no more than before */
        atomic_fetch_add(&m->used, *size - wanted);
    return block;
}

void memory_block_give(struct memory *m, void *block, size_t size)
{
    if (!m) {
        free(block);
        return;
    }
    size_t used = atomic_fetch_sub(&m->used, size) - size, most = memory_most(m);
    blocks_give(&m->blocks, block, size, used < most ? most - used : 0);
    memory_settle(m);
    memory_drop(m);
}

void memory_block_keep(struct memory *m, void *block, size_t size)
{
    size_t used = memory_used(m), most = m ? memory_most(m) : 0;
    blocks_give(m ? &m->blocks : NULL, block, size, used < most ? most - used : 0);
    if (m)
        memory_settle(m);
}

size_t memory_used(const struct memory *m)
{
    return m ? atomic_load(&m->used) : 0;
}

size_t memory_total(const struct memory *m)
{
    return m ? memory_used(m) + blocks_bytes(&m->blocks) : 0;
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
