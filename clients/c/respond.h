/*
 * respond.h: our answers to the broker's requests. They belong to the connection on which the request
 * came (its epoch); where that is gone they are dropped, because the broker asks again.
 */
#ifndef HALFMQ_CLIENTS_C_RESPOND_H
#define HALFMQ_CLIENTS_C_RESPOND_H

#include "clients/c/client.h"

void respond_text(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);
void respond_error(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);

#endif
