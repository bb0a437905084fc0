/*
 * loop_thread.h: a loop from outside: its start, its end, and what other threads ask of it (net.c).
 *
 *   one turn:  take news ─► ready sockets: read, parse, answer or submit ─► look for more of a group
 *              to come (gather_more) ─► flush answers that are ready ─► journal_turn (may lead a group
 *              here) ─► deliver what came back ─► flush ─► look for the next a moment (gather_linger) ─► sleep
 */
#ifndef HALFMQ_BROKER_LOOP_THREAD_H
#define HALFMQ_BROKER_LOOP_THREAD_H

#include "broker/net/loop.h"

/* Creates a loop and starts its thread. alone: no other loop answers clients. NULL: no memory or no thread; errno
 * tells. */
struct loop *loop_start(const struct net_env *env, struct net_shared *shared, bool alone);

/* A new connection, non-blocking and counted in shared->connections, becomes the loop's. Any thread. False: no
 * memory; the socket stays the caller's. */
bool loop_adopt(struct loop *l, const struct letter_socket *socket) MUST_CHECK;

/* As net_drain, _join and _free. */
void loop_drain(struct loop *l, int64_t timeout_ms);
void loop_join(struct loop *l);
void loop_free(struct loop *l);

/* Any thread may read them. */
const struct counters *loop_counters(const struct loop *l);

/* As clients_list. */
bool loop_list_clients(struct loop *l, const char *user, uint32_t *slot, uint32_t *most, struct buf *out);

/* Closes the client with that id if it is this loop's; false: it is not. Any thread. */
bool loop_kill_client(struct loop *l, uint64_t id);

/* Submits TICK, where none is under way. Any thread. */
void loop_tick(struct loop *l);
void loop_nudge(struct loop *l); /* to call journal_turn */

#endif
