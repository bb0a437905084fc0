/*
 * consumer_window.h: how many messages more may come to a consumer, and when to ask for them.
 *
 * Limits: n_held - n_outside + credit <= window, and n_held + credit <= prefetch, when more is asked for. The window begins
 * small, grows when it is emptied quickly (64 times where a clock of milliseconds sees no time pass, eightfold within 10 ms,
 * twofold within 100 ms) and halves when that takes long, which a slow handler shows long before it has emptied it: so fast
 * handlers are kept busy, and slow ones leave messages to other consumers.
 *
 * It is the handlers that are measured, not the broker. So a message leaves the window when its handler has it acknowledged,
 * though the acknowledgement may wait for the reply to an earlier one, which takes a sync of the broker; and when the
 * application keeps it. Time in which the window is empty does not count.
 *
 * It never gets smaller than it began: 16, or for a batch handler, which takes a batch at a time however slow it is, two
 * batches for each worker.
 *
 * The small beginning also lets the first messages show their size. Credit and POP count messages, so
 * prefetch_bytes is kept by the average size of the messages that came so far; a first message passes
 * whatever its size.
 *
 * All under the consumer's lock.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_WINDOW_H
#define HALFMQ_CLIENTS_C_CONSUMER_WINDOW_H

#include "clients/c/consumer/consumer_inner.h"

/* A new consumer, whose options are set. */
void window_begin(struct hmq_consumer *c);

/* n messages have left the window, which may change. */
void window_released(struct hmq_consumer *c, size_t n);

/* How many messages more there is room for. */
size_t window_room(const struct hmq_consumer *c);

/* The credit has changed: what it may bring is counted as memory that others should not ask for. */
void window_promise(struct hmq_consumer *c);

/* There is no room. Where nothing of this consumer's can make any, because other roles of the client have the memory,
 * it looks again after a pause. */
void window_starved(struct hmq_consumer *c);

/* Asking for more failed: it may be tried again after a pause that doubles each time. */
void window_ask_failed(struct hmq_consumer *c);

/* It did not: the next pause is the shortest again. */
void window_ask_worked(struct hmq_consumer *c);

#endif
