/*
 * delivery.h: POPs whose replies are in a connection's output and not sent yet: what is not sent when it ends is requeued.
 *
 *   out  ▒▒▒▒▒▒│ reply 1 │▒▒▒▒▒▒▒▒▒│ reply 2: messages A B C │ reply 3 │
 *         sent ────────────────────────────────────┘ here: A stays leased; B and C, and all of reply 3, are requeued
 *
 * The entry of such a POP is kept in the session's list instead of being freed, so this costs no memory and no time where
 * replies are sent at once. Which of a reply's messages are sent is found out only where the connection ends: the reply is
 * made once more.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_DELIVERY_H
#define HALFMQ_BROKER_DELIVERY_H

#include "broker/net/conn.h"

/* The reply to a POP was appended to the output, which began at conn->sent + conn_unsent `begins`. All that e was granted
 * is in it. The entry is the list's from now on, but good until the next conn_send. */
void delivery_keep(struct conn *c, struct entry *e, uint64_t begins);

/* Frees an entry that was replied to, unless it is kept. */
void delivery_free(struct entry *e);

/* Forgets those whose replies are sent. */
void deliveries_sent(struct conn *c);

/* Requeues what is not sent: the connection ends. */
void deliveries_give_back(struct conn *c);

#endif
