/*
 * net.h: the I/O threads: sockets, connections, dialects, order and bounds. What a command does is not known
 * here; it is handed up through struct session_ops (ops.h).
 *
 *        acceptor ── net_adopt ──► loop 1..n: conn ─► dialect ─► session_ops.command ──► broker/serve
 *                                      ▲                                                     │
 *                                      └──── conn_answer, conn_refuse, conn_out (conn.h) ◄───┘
 *
 * Public headers: net.h, ops.h (what the sessions do), conn.h, conn_in.h, conn_out.h, conn_room.h (a connection), loop.h (what a loop offers to its own
 * thread).
 *
 * Threads: net_* are called by any, except for new, start and free (the main thread's).
 */
#ifndef HALFMQ_BROKER_NET_H
#define HALFMQ_BROKER_NET_H

#include "broker/base/counters.h"
#include "broker/journal/mailbox.h"
#include "broker/net/ops.h"
#include "broker/net/peers.h"
#include "protocol/base/buf.h"

struct net;

/* NULL: no memory. env is copied. */
struct net *net_new(const struct net_env *env);

/* Starts n loops with their threads. False: no memory or no thread, errno tells; those that were started stay
 * and have to be drained. */
bool net_start(struct net *n, uint32_t n_loops) MUST_CHECK;

/* How many loops have been started. */
uint32_t net_loops(const struct net *n);

/* A new connection, non-blocking, becomes that of a loop (any number; it is taken modulo their count). Any thread.
 * False: no memory; the socket stays the caller's. */
bool net_adopt(struct net *n, uint32_t loop, const struct letter_socket *socket) MUST_CHECK;

/* How many connections each address has. */
struct peers *net_peers(struct net *n);

/* Connections that were adopted and have not ended. */
uint32_t net_connections(const struct net *n);

/* Submits TICK, through the first loop. */
void net_tick(struct net *n);

/* Has the first loop call journal_turn soon: for who has submitted something and is not to lead. */
void net_nudge(struct net *n);

/* No more reading; parked waits end; what is under way is answered and sent, at most timeout_ms long; then
 * connections are closed and the threads end. net_join waits for that. Counters and lists can be asked until
 * net_free, since other loops and the HTTP server look at them to the last. */
void net_drain(struct net *n, int64_t timeout_ms);
void net_join(struct net *n);
void net_free(struct net *n); /* after the journal; NULL is fine */

/* What connections hold, bytes (account.h). */
uint64_t net_memory(const struct net *n);

/* Of all loops together. */
uint64_t net_counter(const struct net *n, enum counter_id id);
uint64_t net_errors(const struct net *n, enum status code);

/* Where to go on. All zero: at the beginning. */
struct net_clients_at {
    uint32_t loop, slot;
};

/* Appends one line a client ("id=3 addr=127.0.0.1:5000 name=x dialect=resp2 age_s=1 cmd=SEND user=default") for CLIENT
 * LIST: at most so many, of a user (NULL: of all). True: there are more. */
bool net_list_clients(struct net *n, const char *user, struct net_clients_at *at, uint32_t most, struct buf *out);

/* Fills in those of the n clients that are connected. */
void net_describe_clients(struct net *n, struct net_client *clients, uint32_t count);

/* Closes the client with that id; false: there is none. */
bool net_kill_client(struct net *n, uint64_t id);

#endif
