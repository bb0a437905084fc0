/*
 * members.h: counts, for each producer group, the members that could be asked: subscribers and checks_serve
 * clients of all loops, parked CHECKS, and a CHECKURL that can be reached. The counts are only reported (INFO,
 * PGROUP INFO, /metrics); they do not decide who is asked.
 *
 * A group is named by its news key (news_key in storage/state.h). Any thread may call; there is one short lock.
 */
#ifndef HALFMQ_BROKER_MEMBERS_H
#define HALFMQ_BROKER_MEMBERS_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

struct members;

struct members *members_new(void); /* NULL: no memory */
void members_free(struct members *m); /* NULL is fine */

/* Without memory the member is not counted; only the figures are wrong then. m NULL: nothing is counted. */
void members_join(struct members *m, uint64_t key);
void members_leave(struct members *m, uint64_t key);

uint32_t members_of(struct members *m, uint64_t key);

#endif
