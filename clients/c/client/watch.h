/*
 * watch.h: what the driver waits for: one socket and one deadline. They are kept here for the driver's own
 * poll() and, where the application has a loop, told to that loop, but only when they change. Driver thread
 * only, except for watch_wake_locked, by which other threads end the wait.
 */
#ifndef HALFMQ_CLIENTS_C_WATCH_H
#define HALFMQ_CLIENTS_C_WATCH_H

#include "clients/c/halfmq.h"

#define WATCH_MS_MAX 3600000 /* the longest wait; then the driver looks around for nothing */

/* Waits for this of a socket from now on; neither: no longer for the socket. */
void watch_socket(struct hmq_client *c, int fd, int want_read, int want_write);

/* Waits until this time of clock_ms() at most; CORE_NEVER: without a deadline. The loop may end the wait earlier. */
void watch_until(struct hmq_client *c, int64_t until_ms);

/* The loop's timer has ended. */
void watch_timed_out(struct hmq_client *c);

/* Tells the loop to wait for nothing any more. */
void watch_stop(struct hmq_client *c);

/*
 * Wakes the driver where it would sleep beyond due_ms. It is woken at most once for any number of requests
 * that are handed over while it sleeps. Any thread, under the client's lock.
 */
void watch_wake_locked(struct hmq_client *c, int64_t due_ms);

/* Tells those who wait for a change (wait.h) to look again; the loop's thread too, which waits for the socket meanwhile.
 * Any thread, under the client's lock. */
void watch_tell_locked(struct hmq_client *c);

#endif
