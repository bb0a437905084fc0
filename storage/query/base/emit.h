/* emit.h: a message as the tokens of a reply: id, receipt or token, body, attributes, properties. */
#ifndef HALFMQ_STORAGE_EMIT_H
#define HALFMQ_STORAGE_EMIT_H

#include "protocol/record/message.h"
#include "storage/disk/rows.h"

/* Where a message is. attempt 0: it was not delivered, so it has an id and no receipt. */
struct place {
    struct slice topic;
    uint32_t queue;
    uint64_t offset;
    int64_t stored_ms;
    uint32_t attempt;
    int64_t lease_until_ms;
    struct slice group;
};

/* Writes a MESSAGE with its four values. */
void emit_message(struct buf *reply, const struct place *p, const struct message *m);

/* Writes a message of an open transaction: it has no id yet; times that begin with the COMMIT are durations. */
void emit_half(struct buf *reply, const struct half_row *half, const struct message *m);

/* Writes what is known of a message that is gone: its place, or its token, and no body. */
void emit_gone(struct buf *reply, const struct place *p);
void emit_gone_delayed(struct buf *reply, uint64_t token);

/* Writes a delayed message: it has a token in place of an id, no offset yet, and a time at which it is due. */
void emit_delayed(struct buf *reply, uint64_t token, int64_t due_ms, const struct half_row *half,
                  const struct message *m);

#endif
