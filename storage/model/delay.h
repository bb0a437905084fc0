/* delay.h: messages with DELAY or AT: kept where nobody looks until their time has come. */
#ifndef HALFMQ_STORAGE_DELAY_H
#define HALFMQ_STORAGE_DELAY_H

#include "storage/model/timer.h"
#include "storage/model/topic.h"

/* Keeps the message until due_ms: half has its queue and its TTL, which begins now; m the rest. (half's
 * message, and what its times are relative to, are set here.) Returns its token. Cannot be refused: without
 * memory the state is sick. */
uint64_t delay_put(struct state *st, const struct stamp *stamp, struct topic *t, int64_t due_ms,
                   const struct half_row *half, const struct message *m);

/* TIMER_DELAY fired: the message is stored in its topic, if both are still there and its TTL is not over. */
void delay_tick(struct state *st, const struct stamp *stamp, int64_t due_ms, uint64_t topic_id,
                uint64_t token);

/* Takes a delayed message away. ST_GONE: none with that token is waiting; ST_IO, ST_NOMEM: unchanged. */
enum status delay_cancel(struct state *st, uint64_t token) MUST_CHECK;

#endif
