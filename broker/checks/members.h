/*
 * members.h: how many can be asked, by producer group: subscribers, servers, parked pollers of all
 * loops, and a CHECKURL that can be reached. Only to tell (INFO, PGROUP INFO, /metrics); who is asked
 * is decided by who comes for it.
 *
 * A group is named by its key of news (storage/state.h). Any thread; one short lock.
 */
#ifndef HALFMQ_BROKER_MEMBERS_H
#define HALFMQ_BROKER_MEMBERS_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

struct members;

struct members *members_new(void); /* NULL: no memory */
void members_free(struct members *m); /* NULL is fine */

/* Without memory the member is not counted: figures are all that suffers. m NULL: nothing is. */
void members_join(struct members *m, uint64_t key);
void members_leave(struct members *m, uint64_t key);

uint32_t members_of(struct members *m, uint64_t key);

#endif
