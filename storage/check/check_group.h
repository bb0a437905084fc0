/* check_group.h: the pass over groups on topics. */
#ifndef HALFMQ_STORAGE_CHECK_GROUP_H
#define HALFMQ_STORAGE_CHECK_GROUP_H

#include "storage/check/check_base.h"

void check_group_all(struct checking *c);

#endif
