/*
 * pgroup_counts.h: which settings count for a producer group: its own, where it has them, otherwise the broker's.
 */
#ifndef HALFMQ_STORAGE_PGROUP_COUNTS_H
#define HALFMQ_STORAGE_PGROUP_COUNTS_H

#include "storage/disk/rows.h"
#include "storage/policy.h"

static inline int64_t pgroup_checkin(const struct pgroup_row *own, const struct policy *p)
{
    return own->set & PGROUP_CHECKIN ? own->checkin_ms : p->checkin_ms;
}

static inline int64_t pgroup_check_every(const struct pgroup_row *own, const struct policy *p)
{
    return own->set & PGROUP_CHECKEVERY ? own->check_every_ms : p->check_every_ms;
}

static inline uint32_t pgroup_check_max(const struct pgroup_row *own, const struct policy *p)
{
    return own->set & PGROUP_CHECKMAX ? own->check_max : p->check_max;
}

static inline int64_t pgroup_timeout(const struct pgroup_row *own, const struct policy *p)
{
    return own->set & PGROUP_TIMEOUT ? own->timeout_ms : p->txn_timeout_ms;
}

#endif
