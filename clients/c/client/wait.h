/*
 * wait.h: waiting until something holds, on whichever thread.
 */
#ifndef HALFMQ_CLIENTS_C_WAIT_H
#define HALFMQ_CLIENTS_C_WAIT_H

#include "clients/c/client/client.h"

/* False inside a callback: what is waited for could not happen meanwhile. */
bool wait_is_possible(struct hmq_client *c);

/*
 * Waits until holds(arg) or the deadline. holds() is called without a lock, at first and after every
 * client_changed(). On the application's loop thread this drives the socket meanwhile. HMQ_ETIMEDOUT;
 * HMQ_EWOULDBLOCK inside a callback, where it does not hold already.
 */
enum hmq_status wait_until(struct hmq_client *c, bool (*holds)(void *arg), void *arg,
                           int64_t deadline_ms);

#endif
