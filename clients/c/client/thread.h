/*
 * thread.h: the client's own thread, for applications that have no loop.
 */
#ifndef HALFMQ_CLIENTS_C_THREAD_H
#define HALFMQ_CLIENTS_C_THREAD_H

#include "clients/c/client/client.h"

/* Starts it; it ends when the client is stopping, and is joined by whoever set that. False: the system has no
 * thread to give. */
bool thread_start(struct hmq_client *c);

#endif
