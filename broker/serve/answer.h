/*
 * answer.h: the answers of entries that came back from the journal, and to whom they go.
 *
 * An entry names its connection by slot and generation, and holds the request's id in entry->request.
 * What was granted and cannot be handed over is given back (giveback.h). Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_ANSWER_H
#define HALFMQ_BROKER_ANSWER_H

#include "broker/net/conn.h"

/* Writes on the entry to whom its answer goes. */
void answer_address(struct entry *e, const struct conn *c, struct request rq);
struct request answer_request_of(const struct entry *e);

/* An empty array. */
void answer_empty(struct conn *c, struct request rq);

/* Whatever became of the entry. It stays the caller's. */
void answer_entry(struct conn *c, const struct entry *e);

#endif
