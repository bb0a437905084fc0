/*
 * gate.c: a counter and a flag in one word (gate.h).
 *
 * Who leaves a gate that is being closed does so under the client's lock. So the closer, who takes that lock before it
 * frees the client, cannot free it under the one who leaves.
 */
#include "clients/c/client/gate.h"

#include "clients/c/client/client_inner.h"
#include "clients/c/client/watch.h"

#define GATE_CLOSING UINT32_C(0x80000000)

bool gate_enter(struct gate *g)
{
    uint32_t word = atomic_load(&g->word);
    do {
        if (word & GATE_CLOSING)
            return false;
    } while (!atomic_compare_exchange_weak(&g->word, &word, word + 1));
    return true;
}

void gate_leave(struct gate *g, struct hmq_client *c)
{
    uint32_t word = atomic_load(&g->word);
    while (!(word & GATE_CLOSING)) {
        if (atomic_compare_exchange_weak(&g->word, &word, word - 1))
            return;
    }
    pthread_mutex_lock(&c->lock);
    atomic_fetch_sub(&g->word, 1);
    watch_tell_locked(c);
    pthread_mutex_unlock(&c->lock);
}

void gate_close(struct gate *g, struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_fetch_or(&g->word, GATE_CLOSING);
    watch_tell_locked(c);
    pthread_mutex_unlock(&c->lock);
}

bool gate_closing(const struct gate *g)
{
    return atomic_load(&g->word) & GATE_CLOSING;
}

bool gate_empty(const struct gate *g)
{
    return atomic_load(&g->word) == GATE_CLOSING;
}
