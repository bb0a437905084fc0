/*
 * asks.h: the check-backs that one member was sent and has not answered yet. When the member goes away, they are
 * undone (UNASK), so that another member is asked at once.
 *
 *   id   first ···· next          a ring; ids ascend by one and wrap at 2^32, as MessagePack-RPC wants
 *        [ ] [x] [ ] [x] [x]      x: open; an empty place was answered; the window begins with an open one
 *
 * At most ASKS_MAX are remembered for a member. Beyond that the oldest are forgotten here; the store asks them again
 * when their time comes. No clock and no lock: the owner's thread only.
 */
#ifndef HALFMQ_BROKER_ASKS_H
#define HALFMQ_BROKER_ASKS_H

#include <stdint.h>

#include "protocol/status.h"

#define ASKS_MAX 16384

struct ask {
    uint64_t txid; /* 0: this place is empty */
    uint32_t attempt;
    uint32_t asked_as; /* the member's registration by which it was sent: the low half of its channel's hash */
};

struct asks {
    struct ask *ring;
    uint32_t size; /* of the ring: 0 or a power of two */
    uint32_t first, next;
    uint32_t n; /* how many are open */
};

/* Makes room for one more, so that asks_add cannot fail. ST_NOMEM. */
enum status asks_reserve(struct asks *a) MUST_CHECK;

/* Remembers an ask; returns its id. Call asks_reserve first. */
uint32_t asks_add(struct asks *a, struct ask ask);

/* The id that the next asks_add will return. */
static inline uint32_t asks_next_id(const struct asks *a)
{
    return a->next;
}

/* Takes out the ask with this id, as it was answered. False: there is no open one. */
bool asks_take(struct asks *a, uint32_t id, struct ask *ret_ask);

/* Takes out the oldest open one. False: there is none. */
bool asks_pop(struct asks *a, struct ask *ret_ask);

/* Frees the ring (asks_trim: only if nothing is open). Ids continue from where they are. */
void asks_trim(struct asks *a);
void asks_fini(struct asks *a);

#endif
