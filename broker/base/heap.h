/*
 * heap.h: how much malloc may keep of what the program has freed.
 *
 * malloc keeps freed memory to use it again: at the end of its heap up to a threshold, and between living blocks
 * without a bound. That saves page faults, and it is small beside `memory` where that is large. Where `memory` is small,
 * a few large messages under way leave as much behind as the whole slack that the broker is allowed. There, large blocks
 * are mapped each by itself, and go back to the system when they are freed.
 */
#ifndef HALFMQ_BROKER_HEAP_H
#define HALFMQ_BROKER_HEAP_H

#include <stddef.h>

/* memory: the setting, in bytes. Before other threads begin. */
void heap_setup(size_t memory);

/* Gives what lies free between living blocks back to the system, where `memory` is small; where it is large, this would
 * hold the other threads up for too long and is not done. Any thread. */
void heap_trim(void);

#endif
