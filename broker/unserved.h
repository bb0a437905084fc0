/*
 * unserved.h: producer groups that have a check-back due and no member who could be asked. Only to tell
 * (INFO, /metrics).
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

/* How many there are, and the names of the first, separated by commas, as many as fit. At most
 * UNSERVED_LOOK_MAX groups with something due are looked at. False: the store could not be read, or v is NULL. Any
 * thread. */
bool unserved_find(struct server *s, struct view *v, uint64_t *ret_n, char names[UNSERVED_NAMES_MAX]) MUST_CHECK;

#endif
