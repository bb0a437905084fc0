/*
 * deadline.h: ends the process by a thread of its own, if something takes too long.
 */
#ifndef HALFMQ_BROKER_DEADLINE_H
#define HALFMQ_BROKER_DEADLINE_H

#include <stdint.h>

struct deadline;

/* Calls passed once when ms have passed, in its own thread, unless deadline_cancel was called before. NULL: no memory or
 * no thread. */
struct deadline *deadline_new(int64_t ms, void (*passed)(void));

/* Waits for `passed` if it runs. NULL: no-op. */
void deadline_cancel(struct deadline *d);

#endif
