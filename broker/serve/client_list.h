/*
 * client_list.h: the reply of CLIENT LIST: with many connections it is made in steps, one a turn, so that no loop is held
 * up, and no lock of a loop's slots is held long. It is one text, so it is gathered and sent at the end. Clients that come
 * or go meanwhile may be in it or not.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CLIENT_LIST_H
#define HALFMQ_BROKER_CLIENT_LIST_H

#include "broker/net/conn.h"

/* Answers CLIENT LIST, now or step by step. */
void client_list_begin(struct conn *c, struct request rq);

/* Does the next step. True: there is more. */
bool client_lists_run(struct loop *l);

/* Gives up the connection's, if it has one. */
void client_list_drop(struct conn *c);

#endif
