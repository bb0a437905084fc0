/* counters.c: error replies by code, and reading a thread's counters from another thread. */
#include "broker/base/counters.h"

void counters_error(struct counters *c, enum status s)
{
    if (s < ST_WIRE_COUNT)
        atomic_fetch_add_explicit(&c->errors[s], 1, memory_order_relaxed);
}

uint64_t counters_get(const struct counters *c, enum counter_id id)
{
    return atomic_load_explicit(&c->v[id], memory_order_relaxed);
}

uint64_t counters_get_error(const struct counters *c, enum status s)
{
    return atomic_load_explicit(&c->errors[s], memory_order_relaxed);
}
