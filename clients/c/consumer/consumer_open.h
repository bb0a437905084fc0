/*
 * consumer_open.h: unpacks deliveries that came as a record, where their messages are wanted.
 *
 *   a worker takes it ─► open_unpack (without the lock) ─► open_settle
 *   its lease is due, or the consumer is closed ─► open_due, open_whole (under the lock)
 *
 * A record that is damaged, or that there is no memory for, is dropped: it is redelivered when its lease expires. Its stream
 * is given up.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_OPEN_H
#define HALFMQ_CLIENTS_C_CONSUMER_OPEN_H

#include "clients/c/consumer/consumer_inner.h"

/* How many messages the task stands for; workers_take_more counts with it. */
size_t open_weight(const struct task *task);

/* Unpacks those in the list that stand for whole deliveries. By the one who has them in its hand; without the lock. */
void open_unpack(struct task_list *tasks);

/* From now on others may see what was unpacked; what could not be is taken out of the list. Under the lock. */
void open_settle(struct task_list *tasks);

/* Unpacks what waits as a whole and is to be extended: that is done message by message. Under the lock. */
void open_due(struct hmq_consumer *c, int64_t now_ms);

/* Unpacks this one, where it waits as a whole and in nobody's hand. False: it is dropped. Under the lock; a user holds it. */
bool open_whole(struct delivery *d);

#endif
