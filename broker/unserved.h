/*
 * unserved.h: producer groups that have a check-back due and no member that could be asked. For INFO and /metrics.
 */
#ifndef HALFMQ_BROKER_UNSERVED_H
#define HALFMQ_BROKER_UNSERVED_H

#include "protocol/status.h"

#include <stdbool.h>
#include <stdint.h>

struct server;
struct view;

#define UNSERVED_LOOK_MAX 10000 /* groups that are looked at */
#define UNSERVED_NAMES_MAX 512

/* Counts them, and writes the names of the first ones, separated by commas, as many as fit. Looks at no more than
 * UNSERVED_LOOK_MAX groups with something due. False: the store could not be read, or v is NULL. Any thread. */
bool unserved_find(struct server *s, struct view *v, uint64_t *ret_n, char names[UNSERVED_NAMES_MAX]) MUST_CHECK;

#endif
