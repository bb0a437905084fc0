/* send.h: what SEND and HALF do alike. */
#ifndef HALFMQ_STORAGE_SEND_H
#define HALFMQ_STORAGE_SEND_H

#include "storage/topic.h"

/* Answers why topic_need failed. */
void send_refuse(struct outcome *out, enum status s, struct slice topic);

/* The message of a command, born now; props live in st->props. Not ST_OK: answered. */
enum status send_prepare(struct state *st, const struct stamp *stamp, const struct command *cmd,
                         struct slice body, struct message *ret_m, struct outcome *out) MUST_CHECK;

/* *ret_wanted is ret_queue where QUEUE was given, else NULL. False: it does not exist; answered. */
bool send_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
                   const uint32_t **ret_wanted, struct outcome *out);

#endif
