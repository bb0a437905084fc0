/*
 * rate.h: RATE n: at most n messages in any second, spread evenly (a cell-rate counter).
 *
 *   free     when the next message may go. Each one that goes moves it on by T; a group that was idle has
 *            it not further back than S before now, so it saves up nothing but what a timer that is late costs
 *
 *            now-S              now
 *   idle  ──────┼────────────────┼──►     k messages may go at once where k-1 of them fit between free and now
 *             free ──T──T──T──T─►
 *
 *   T = (1 second + 1 ms + S) / n. Between the first and the last of n+1 messages lie n T, less the S that the first
 *   may have been ahead: more than a second, by 1 ms, as the stamps are whole milliseconds.
 *
 * Messages that nobody has received are given back: free moves by k T, less the time since they went. Without that
 * they would count where, without them, the group would have been idle.
 *
 * Pure functions of what is in row C and the stamp, so every replica counts alike. Times are Unix milliseconds, free is
 * Unix microseconds.
 */
#ifndef HALFMQ_STORAGE_RATE_H
#define HALFMQ_STORAGE_RATE_H

#include <stdint.h>

/* How many messages may go now, at most so many. rate > 0. */
uint32_t rate_room(uint32_t rate, int64_t free_us, int64_t now_ms, uint32_t most);

/* n messages have gone now (rate_room has allowed them): returns the new free. */
int64_t rate_took(uint32_t rate, int64_t free_us, int64_t now_ms, uint32_t n);

/* Of those that went at took_ms or later, n were not received: returns the new free. */
int64_t rate_gave_back(uint32_t rate, int64_t free_us, int64_t took_ms, int64_t now_ms, uint64_t n);

/* The first millisecond at which a message may go. */
int64_t rate_due_ms(int64_t free_us);

#endif
