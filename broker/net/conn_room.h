/*
 * conn_room.h: connections that wait until all connections together hold less memory (account.h).
 *
 *   conn_await_room ──► loop.awaiting ── less is held, a lane is free, or ROOM_TRY_MS later ──► touched: it tries again
 *
 * One that tries and may not waits again, behind the others.
 */
#ifndef HALFMQ_BROKER_CONN_ROOM_H
#define HALFMQ_BROKER_CONN_ROOM_H

#include "broker/net/conn.h"

/* Touches it later. stop: STOP_MEMORY (it takes no command until then), STOP_SHORT (it is not read) or 0. */
void conn_await_room(struct conn *c, unsigned stop);

void conn_queue_add(struct conn_queue *q, struct conn *c);
void conn_queue_remove(struct conn_queue *q, struct conn *c); /* it is in it */

/* Takes no command until less work is in the journal (account.h), and begins again then, in turn. */
void conn_await_work(struct conn *c);
void conns_begin_work(struct loop *l);

/* Over the high water: may more be read behind an unfinished request? False: it waits. */
bool conn_takes_lane(struct conn *c, size_t bytes);

/* The same for a command with a large reply. False: it may not begin. The lane ends by itself (conn_settle) when all is
 * sent. */
bool conn_takes_reply_lane(struct conn *c);
void conn_give_reply_lane(struct conn *c);

/* Has the client's kernel taken all that was sent? Then a small reply goes out at once. */
bool conn_is_read(const struct conn *c);

/* Does it hold at least as much as connections do on average? */
static inline bool conn_holds_much(const struct conn *c)
{
    const struct net_shared *all = c->loop->shared;
    return c->counted >= account_held(&all->account) / (atomic_load(&all->connections) + 1);
}

/* A request was read to its end, or will not be. */
void conn_give_lane(struct conn *c);

/* Takes it out of everything above, before it is freed. */
void conn_leave_room(struct conn *c);

/* Lets those that wait try again, as many as make sense. */
void conns_go_on(struct loop *l);

/* Of loop.room_timer: conns_go_on, and now and then closes those that keep others waiting: it is their turn to read or
 * to send, and they do not. */
void conn_room_timer_fires(struct timer *t, void *arg);

#endif
