/* unload.c: the hand that goes round (unload.h). */
#include "storage/group/unload.h"

#include "storage/group/group.h"

#define UNLOAD_STEPS_MAX 4096

static void unload_gt(struct state *st, struct gt *gt)
{
    if (!gt->dirty)
        group_forget(st, gt);
}

/* A topic stays as long as a gt that points to it, and while the turn of its queues is not stored. */
static void unload_topic(struct state *st, struct topic *t)
{
    bool clean = t->n_gts == 0 && !t->touched && t->rr == t->rr_saved;
    for (uint32_t q = 0; q < t->n_queues && clean; q++)
        clean = !t->queues[q].tail;
    if (clean)
        topic_forget(st, t);
    else
        topic_measure(st, t);
}

void unload_some(struct state *st)
{
    size_t most = st->lru.n < UNLOAD_STEPS_MAX ? st->lru.n : UNLOAD_STEPS_MAX;
    for (size_t i = 0; i < most && lru_over(&st->lru); i++) {
        struct lru_node *node = lru_next(&st->lru);
        if (!node)
            return;
        if (node->used)
            node->used = false;
        else if (node->kind == LRU_GT)
            unload_gt(st, (struct gt *)(void *)((uint8_t *)node - offsetof(struct gt, lru)));
        else
            unload_topic(st, (struct topic *)(void *)((uint8_t *)node - offsetof(struct topic, lru)));
    }
    hash_trim(&st->gts);
    hash_trim(&st->cgroups);
    hash_trim(&st->topics);
}
