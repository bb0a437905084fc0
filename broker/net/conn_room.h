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

/* Over the high water: may more be read behind an unfinished request? False: it waits. */
bool conn_takes_lane(struct conn *c, size_t bytes);

/* A request was read to its end, or will not be. */
void conn_give_lane(struct conn *c);

/* Takes it out of everything above, before it is freed. */
void conn_leave_room(struct conn *c);

/* Lets those that wait try again, as many as make sense. */
void conns_go_on(struct loop *l);
void conn_room_timer_fires(struct timer *t, void *arg); /* of loop.room_timer */

/* Called each sweep: cuts the connection where connections hold too much and it does not go on with its part of it. */
void conn_look_if_stuck(struct conn *c);

#endif
