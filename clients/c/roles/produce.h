/*
 * produce.h: a closed batch as a request, and what becomes of it.
 */
#ifndef HALFMQ_CLIENTS_C_PRODUCE_H
#define HALFMQ_CLIENTS_C_PRODUCE_H

#include "clients/c/roles/lanes.h"

/* lanes.leave: submits the open batch of the lane. Under the lock of the lanes. */
void produce_leave(struct lanes *lanes, struct lane *lane);

/* Submits a `send` in its turn behind what the lane has under way, under the lock of the lanes. Its frame is taken out
 * of `from`, and its bytes are reserved already. HMQ_ENOMEM: nothing was done. */
enum hmq_status produce_alone(struct lanes *lanes, struct lane *lane, struct call *from, struct listener listener);

#endif
