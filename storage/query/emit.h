/* emit.h: a message as the tokens of a reply: id, receipt or token, body, attributes, properties. */
#ifndef HALFMQ_STORAGE_EMIT_H
#define HALFMQ_STORAGE_EMIT_H

#include "protocol/record/message.h"
#include "storage/disk/rows.h"

/* Where a message is, for its attributes; attempt 0: not handed out, so it has an id, not a receipt. */
struct place {
    struct slice topic;
    uint32_t queue;
    uint64_t offset;
    int64_t stored_ms;
    uint32_t attempt;
    int64_t lease_until_ms;
    struct slice group;
};

/* A MESSAGE with its four values. */
void emit_message(struct buf *reply, const struct place *p, const struct message *m);

/* The same of a delayed one: it has a token for an id, no offset yet, and a time at which it is due. */
void emit_delayed(struct buf *reply, uint64_t token, int64_t due_ms, const struct half_row *half,
                  const struct message *m);

#endif
