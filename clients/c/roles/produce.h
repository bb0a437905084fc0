/*
 * produce.h: a closed batch as a request, and what becomes of it.
 */
#ifndef HALFMQ_CLIENTS_C_PRODUCE_H
#define HALFMQ_CLIENTS_C_PRODUCE_H

#include "clients/c/roles/lanes.h"

/* lanes.leave: submits the open batch of the lane. Under the lock of the lanes. */
void produce_leave(struct lanes *lanes, struct lane *lane);

#endif
