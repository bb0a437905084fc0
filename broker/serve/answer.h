/*
 * answer.h: replies to the client for entries that came back from the journal.
 *
 * An entry names its connection by slot and generation, and the request by entry->request. Messages that were granted
 * and cannot be delivered are requeued (giveback.h). Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_ANSWER_H
#define HALFMQ_BROKER_ANSWER_H

#include "broker/net/conn.h"

/* Notes in the entry which request of which connection it belongs to (session_request_of). */
void answer_address(struct entry *e, const struct conn *c, struct request rq);

/* Replies with an empty array. */
void answer_empty(struct conn *c, struct request rq);

/* Replies with the entry's result: its tokens, the messages it was granted, or why it was not applied. The entry stays
 * the caller's, who frees it with delivery_free. */
void answer_entry(struct conn *c, struct entry *e);

/* Adds to the reply of a PGROUP INFO what the store cannot know: how many members could be asked. */
void answer_put_members(struct loop *l, const struct command *cmd, struct buf *r);

#endif
