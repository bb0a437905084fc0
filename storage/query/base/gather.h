/*
 * gather.h: collects messages for a reply. They are written into a buffer of their own first, because an array has its
 * length before its items. It is the caller's, and may be one that lasts for several steps (steps.h).
 */
#ifndef HALFMQ_STORAGE_GATHER_H
#define HALFMQ_STORAGE_GATHER_H

#include "storage/query/base/emit.h"
#include "storage/query/base/view.h"

struct gather {
    struct buf *items;
    uint32_t n, count; /* messages so far, and at most */
    size_t most;       /* bytes of the reply beyond which no more are added */
    uint64_t bytes;    /* of their bodies */
};

/* Starts with nothing, for at most count messages, and most bytes with one message more. items is made empty; it must
 * hold no memory. */
void gather_begin(struct gather *g, struct buf *items, uint32_t count, size_t most);

/* True where count or the reply's limit is reached, or memory has run out. All bytes count, properties too: a message
 * without a body may be large. */
static inline bool gather_full(const struct gather *g)
{
    return g->n >= g->count || g->items->len >= g->most || g->items->failed;
}

/* True where it ended for its bytes, so that there may be more. */
static inline bool gather_is_cut(const struct gather *g)
{
    return g->n < g->count && g->items->len >= g->most;
}

void gather_add(struct gather *g, const struct place *p, const struct message *m);

/* Answers with what was gathered where s is ST_OK, with an error otherwise; frees items. */
void gather_end(struct gather *g, enum status s, struct buf *reply);

#endif
