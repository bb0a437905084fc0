/* redriven.h: the topic that POP and TAKE take from beside those that they name (storage/group/retry.h). */
#ifndef HALFMQ_BROKER_REDRIVEN_H
#define HALFMQ_BROKER_REDRIVEN_H

#include <assert.h>

#include "protocol/base/slice.h"
#include "protocol/limits.h"

/* "%RETRY%group" into hold (SYSTEM_NAME_BYTES_MAX bytes). */
static inline struct slice redriven_topic(struct slice group, uint8_t *hold)
{
    struct slice prefix = SLICE_LIT("%RETRY%");
    assert(group.len <= NAME_BYTES_MAX);
    memcpy(hold, prefix.data, prefix.len);
    memcpy(hold + prefix.len, group.data, group.len);
    return slice_of(hold, prefix.len + group.len);
}

#endif
