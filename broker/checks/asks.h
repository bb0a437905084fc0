/*
 * asks.h: the check-backs that one member was handed and has not answered: what is taken back when it
 * goes.
 *
 *   id   first ···· next          a ring; ids ascend by one and wrap at 2^32, as MessagePack-RPC wants
 *        [ ] [x] [ ] [x] [x]      a hole is one that was answered; the window begins with an open one
 *
 * A member that never answers is remembered ASKS_MAX asks; the oldest are forgotten then, and the store
 * asks them again in its own time. Pure: no clock, no lock.
 */
#ifndef HALFMQ_BROKER_ASKS_H
#define HALFMQ_BROKER_ASKS_H

#include <stdint.h>

#include "protocol/status.h"

#define ASKS_MAX 16384

struct ask {
    uint64_t txid; /* 0: none here */
    uint32_t attempt;
};

struct asks {
    struct ask *ring;
    uint32_t size; /* of the ring: 0 or a power of two */
    uint32_t first, next;
    uint32_t n; /* open ones */
};

/* Room for one more, so that asks_add cannot fail. */
enum status asks_reserve(struct asks *a) MUST_CHECK;

/* Remembers; the id it has. */
uint32_t asks_add(struct asks *a, struct ask ask);

/* The id that the next one gets. */
static inline uint32_t asks_next_id(const struct asks *a)
{
    return a->next;
}

/* Answered: takes it out. False: no such one. */
bool asks_take(struct asks *a, uint32_t id, struct ask *ret_ask);

/* Takes the oldest out; false: there is none. */
bool asks_pop(struct asks *a, struct ask *ret_ask);

/* Gives the memory back; ids go on. */
void asks_trim(struct asks *a);
void asks_fini(struct asks *a);

#endif
