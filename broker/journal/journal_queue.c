/* journal_queue.c: light and heavy turns (journal_queue.h). */
#include "broker/journal/journal_queue.h"

#include <assert.h>
#include <string.h>

#define TURN_ENTRIES_MAX 8192

static unsigned queue_place(const struct entry *e)
{
    uint32_t id = e->slot + e->generation * 31 + (uint32_t)((uintptr_t)e->owner >> 6);
    return (id * UINT32_C(0x9e3779b1) >> 24) % QUEUE_PLACES;
}

static bool queue_of_one_connection(const struct entry_list *l)
{
    const struct entry *first = l->first;
    for (const struct entry *e = first; e; e = e->next) {
        if (e->owner != first->owner || e->slot != first->slot || e->generation != first->generation)
            return false;
    }
    return true;
}

/* Moves what is in the list, up to TURN_ENTRIES_MAX, to *group, which is empty. */
static void queue_move(struct entry_list *from, struct entry_list *group)
{
    if (from->n <= TURN_ENTRIES_MAX) {
        *group = *from;
        *from = (struct entry_list){0};
        return;
    }
    while (group->n < TURN_ENTRIES_MAX)
        entry_push(group, entry_pop(from));
}

void queue_take(struct journal_queue *q, struct queue_turn *t, bool may_be_heavy)
{
    *t = (struct queue_turn){0};
    t->heavy = t->was_off = may_be_heavy && q->put_off.first && (q->heavy_next || !q->waiting.first);
    q->heavy_next = !t->heavy;
    if (t->heavy) {
        queue_move(&q->put_off, &t->group);
        return;
    }
    queue_move(&q->waiting, &t->group);
    t->weighs = q->put_off.first != NULL || queue_weight(&t->group) > (size_t)QUEUE_SHARE_BYTES;
    if (!t->weighs)
        return;
    bool alone = may_be_heavy && !q->put_off.first && queue_of_one_connection(&t->group);
    t->heavy = alone;
    t->weighs = !alone;
    if (t->weighs)
        memset(q->taken, 0, sizeof(q->taken));
}

/* True: the entry has to wait for a heavy turn. */
static bool queue_is_over(struct journal_queue *q, const struct entry *e)
{
    unsigned place = queue_place(e);
    if (q->behind[place])
        return true;
    q->taken[place] += e->bytes - ENTRY_SMALL_BYTES;
    return q->taken[place] > (size_t)QUEUE_SHARE_BYTES;
}

void queue_put_off(struct journal_queue *q, struct queue_turn *t, struct entry *e)
{
    assert(!t->heavy);
    if (!t->weighs)
        memset(q->taken, 0, sizeof(q->taken));
    t->weighs = true;
    q->behind[queue_place(e)]++;
    entry_push(&t->off, e);
}

struct entry *queue_next(struct journal_queue *q, struct queue_turn *t)
{
    struct entry *e = entry_pop(&t->group);
    if (e && t->was_off)
        q->behind[queue_place(e)]--;
    while (e && t->weighs && queue_is_over(q, e)) {
        queue_put_off(q, t, e);
        e = entry_pop(&t->group);
    }
    return e;
}

void queue_again(struct journal_queue *q, struct queue_turn *t, struct entry *e)
{
    struct entry_list first = {0};
    if (t->was_off)
        q->behind[queue_place(e)]++;
    entry_push(&first, e);
    entry_append(&first, &t->group);
    t->group = first;
}

void queue_give_back(struct journal_queue *q, struct queue_turn *t)
{
    struct entry_list *from = t->was_off ? &q->put_off : &q->waiting;
    entry_append(&t->rest, from);
    *from = t->rest;
    t->rest = (struct entry_list){0};
    entry_append(&q->put_off, &t->off);
}
