/*
 * ordered_switch.h: GROUP SET ... ORDERED, and ORDERED no: a group becomes ordered (ordered.h), or ceases to be, also while
 * its messages are leased or wait for a retry.
 */
#ifndef HALFMQ_STORAGE_ORDERED_SWITCH_H
#define HALFMQ_STORAGE_ORDERED_SWITCH_H

#include "storage/group/group.h"

/* Makes the group ordered, or not; it may be so already. The caller writes its row G, whose flags have changed.
 * ST_BUSY: too many messages are leased or wait for a retry (ORDERED_HELD_MAX); ST_IO, ST_NOMEM: unchanged, unless the
 * state is sick. */
enum status ordered_switch(struct state *st, struct gt *gt, bool on) MUST_CHECK;

#endif
