/*
 * loop.h: one I/O thread: its event loop, its connections, its parked waits, its mailbox.
 *
 *   one turn:  take news ─► ready sockets: read, parse, answer or submit ─► look for more of a group
 *              to come (gather) ─► flush answers that are ready ─► journal_turn (may lead a group
 *              here) ─► deliver what came back ─► flush ─► look for the next a moment (linger) ─► sleep
 *
 * Everything in a loop belongs to its thread. From outside come only letters: adopted sockets,
 * entries handed back, news (one slot that merges), and orders to stop or to drop a client.
 */
#ifndef HALFMQ_BROKER_LOOP_H
#define HALFMQ_BROKER_LOOP_H

#include "broker/server.h"

struct loop;

/* Creates the loop (number from 1) and starts its thread. NULL: no memory or no thread; errno
 * tells. */
struct loop *loop_start(struct server *s, uint32_t number);

/* A new connection, non-blocking, becomes the loop's. Any thread. False: no memory; fd stays the
 * caller's. */
bool loop_adopt(struct loop *l, int fd) MUST_CHECK;

/* No more reading; parked waits end; what is under way is answered and sent, at most timeout_ms
 * long; then connections are closed and the thread ends. loop_join waits for that; counters and
 * lists can be asked until loop_free, since other loops and the HTTP server look at them to the
 * last. */
void loop_drain(struct loop *l, int64_t timeout_ms);
void loop_join(struct loop *l);
void loop_free(struct loop *l);

/* The loop's counters. Any thread may read. */
struct counters *loop_counters(struct loop *l);

/* Appends one line a client ("id=3 addr=127.0.0.1:5000 name=x dialect=resp2 age_s=1 cmd=SEND") for
 * CLIENT LIST. Any thread: takes the loop's list lock, which the loop holds only to add and
 * remove. */
void loop_list_clients(struct loop *l, struct buf *out);

/* Closes the client with that id if it is this loop's; false: it is not. Any thread. */
bool loop_kill_client(struct loop *l, uint64_t id);

/* Of the main thread's ticker: submits TICK through this loop. Any thread. */
void loop_tick(struct loop *l);

#endif
