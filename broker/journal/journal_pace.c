/* journal_pace.c: moving averages of eight syncs, and bounds with gaps between them, so that nothing flaps. */
#include "broker/journal/journal_pace.h"

#define SLOW_SYNC_NS INT64_C(1000000) /* from here on the writer thread leads */
#define QUICK_SYNC_NS INT64_C(600000) /* and below this the loops do again */
#define LARGE_GROUP 512               /* commands: the writer thread leads from here on, too, */
#define SMALL_GROUP 192               /* and the loops only when both are below */
#define GATHER_NS_MAX INT64_C(200000)

static void pace_decide(struct journal_pace *p)
{
    bool slow = p->costly || p->stall;
    if (slow != atomic_load_explicit(&p->slow, memory_order_relaxed))
        atomic_store(&p->slow, slow);
}

void journal_pace_stall(struct journal_pace *p, bool near)
{
    if (p->stall == near)
        return;
    p->stall = near;
    pace_decide(p);
}

void journal_pace_learn(struct journal_pace *p, int64_t sync_ns, uint32_t commands)
{
    p->sync_ewma_ns += (sync_ns - p->sync_ewma_ns) / 8;
    p->group_ewma += (16 * (int64_t)commands - p->group_ewma) / 8;
    if (!p->costly && (p->sync_ewma_ns > SLOW_SYNC_NS || p->group_ewma > 16 * LARGE_GROUP))
        p->costly = true;
    else if (p->costly && p->sync_ewma_ns < QUICK_SYNC_NS && p->group_ewma < 16 * SMALL_GROUP)
        p->costly = false;
    pace_decide(p);
    int64_t half = p->sync_ewma_ns / 2;
    atomic_store_explicit(&p->gather_ns, half < GATHER_NS_MAX ? half : GATHER_NS_MAX, memory_order_relaxed);
}
