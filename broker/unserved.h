/*
 * unserved.h: producer groups that have a check-back due and no member that could be asked. For INFO and /metrics.
 *
 *   asked ──► looks at the first UNSERVED_AT_ONCE groups ──► these are all: that is the answer
 *                                                       └──► there are more: the answer of the last reading, and
 *               main thread: begins a reading, UNSERVED_AT_ONCE groups a turn ◄──┘ that is complete
 *
 * So with some hundreds of producer groups the answer is up to date, and nobody is held up by more of them.
 */
#ifndef HALFMQ_BROKER_UNSERVED_H
#define HALFMQ_BROKER_UNSERVED_H

#include "protocol/status.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct server;
struct unserved;
struct view;

#define UNSERVED_AT_ONCE 500 /* groups: a millisecond or two */
#define UNSERVED_NAMES_MAX 512

/* base: the main thread's; NULL: all is read at once. Returns NULL: no memory. Free it before the store is closed, and after the loops have ended. */
struct unserved *unserved_new(struct server *s, struct event_base *base);
void unserved_free(struct unserved *u); /* NULL: nothing is done */

/* How many there are, and the names of the first ones, separated by commas, as many as fit. False: the store could not be
 * read, or v is NULL. Any thread. */
bool unserved_find(struct unserved *u, struct view *v, uint64_t *ret_n, char names[UNSERVED_NAMES_MAX]) MUST_CHECK;

#endif
