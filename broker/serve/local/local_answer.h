/*
 * local_answer.h: what most LOCAL commands end with.
 */
#ifndef HALFMQ_BROKER_LOCAL_ANSWER_H
#define HALFMQ_BROKER_LOCAL_ANSWER_H

#include "broker/net/conn.h"

/* `+OK`. */
void local_ok(struct conn *c, struct request rq);

/* conn_refuse, with a format. */
void local_refuse(struct conn *c, struct request rq, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A word made fit for an error text. */
#define LOCAL_QUOTED 160
const char *local_quote(struct slice word, char out[LOCAL_QUOTED]);

#endif
