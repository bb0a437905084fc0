/* journal_memory.c: touches the blocks that a group will need, some at a time (journal_memory.h). */
#include "broker/journal/journal_memory.h"

#include "broker/base/store_memory.h"

#define GROUP_LEAST_BYTES ((size_t)MIB(5)) /* one message of the default size takes what it needs when it needs it */

static void memory_begin(struct journal_memory *m, struct state *st, const struct policy *policy, const struct entry *e)
{
    journal_memory_end(m, st);
    m->entry = e;
    for (const struct entry *one = e->more ? e->more : e; one; one = e->more ? one->next : NULL)
        state_need(st, policy, &one->cmd, &m->need);
    need_end(&m->need);
}

/* RocksDB reads a value into one block, and copies it into another. */
#define LARGE_BLOCKS 2

void journal_memory_large(struct journal_memory *m, size_t bytes)
{
    if (bytes == m->large) {
        if (m->large)
            store_memory_prefault_end();
        m->large = 0;
        return;
    }
    m->large_ready += store_memory_prefault(bytes);
    if (m->large_ready < LARGE_BLOCKS)
        return;
    m->large = bytes;
    m->large_ready = 0;
}

bool journal_memory_step(struct journal_memory *m, struct state *st, const struct policy *policy, const struct entry *e)
{
    if (m->entry != e)
        memory_begin(m, st, policy, e);
    if (m->reserved || m->need.batch < GROUP_LEAST_BYTES)
        return false;
    for (size_t touched = 0; m->ready <= m->need.n_blocks; m->ready++) {
        size_t size = m->ready ? m->need.block[m->ready - 1] : m->need.batch;
        if (touched >= STORE_MEMORY_PREFAULT_STEP || !store_memory_prefault(size))
            return true;
        touched += size;
    }
    m->reserved = true;
    state_reserve_ahead(st, m->need.batch);
    return true;
}

void journal_memory_use(struct journal_memory *m, struct state *st)
{
    if (m->reserved)
        state_reserve(st);
}

void journal_memory_end(struct journal_memory *m, struct state *st)
{
    if (!m->entry)
        return;
    if (m->reserved)
        state_reserve_ahead(st, 0);
    *m = (struct journal_memory){0};
    store_memory_prefault_end();
}
