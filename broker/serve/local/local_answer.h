/*
 * local_answer.h: short replies for LOCAL commands.
 */
#ifndef HALFMQ_BROKER_LOCAL_ANSWER_H
#define HALFMQ_BROKER_LOCAL_ANSWER_H

#include "broker/net/conn.h"

/* Replies `+OK`. */
void local_ok(struct conn *c, struct request rq);

/* Replies with an error: conn_refuse with a format. */
void local_refuse(struct conn *c, struct request rq, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Quotes a word of the client for an error text, shortened and with control bytes escaped. Returns out. */
#define LOCAL_QUOTED 160
const char *local_quote(struct slice word, char out[LOCAL_QUOTED]);

#endif
