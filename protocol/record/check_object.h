/*
 * check_object.h: the object of a check-back as reply tokens: what a member of a producer group is asked about.
 *
 *   whole    { txid, pgroup, attempt, created, messages: [ {topic, key, tag, body, properties}, ... ] }     PROTOCOL.md
 *   a note   { txid, attempt }: the object of a long transaction, on its way from the store to whoever delivers it. The
 *            broker reads the messages then, some at a time, and no client ever sees the note
 */
#ifndef HALFMQ_PROTOCOL_CHECK_OBJECT_H
#define HALFMQ_PROTOCOL_CHECK_OBJECT_H

#include "protocol/record/message.h"

#define CHECK_NOTE_PAIRS 2

struct check_head {
    uint64_t txid;
    struct slice pgroup; /* borrowed */
    uint32_t attempt;
    int64_t created_ms;
};

/* Appends the object up to its messages, of which n have to follow. */
void check_object_put_head(struct buf *r, const struct check_head *h, uint32_t n);
void check_object_put_message(struct buf *r, struct slice topic, const struct message *m);

void check_object_put_note(struct buf *r, uint64_t txid, uint32_t attempt);

#endif
