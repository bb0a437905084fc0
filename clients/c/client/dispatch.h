/*
 * dispatch.h: what the broker sent goes to whom it is for. Driver thread only.
 */
#ifndef HALFMQ_CLIENTS_C_DISPATCH_H
#define HALFMQ_CLIENTS_C_DISPATCH_H

#include "clients/c/client/client.h"

/* Handles one frame; everything in it is borrowed until this returns. */
void dispatch_frame(struct hmq_client *c, const struct rpc_frame *frame);

#endif
