/*
 * respond.h: frames that belong to one connection (its epoch) and are dropped where that is gone: our
 * answers to the broker's requests, since it asks again, and what concerns a stream, which ended with it.
 */
#ifndef HALFMQ_CLIENTS_C_RESPOND_H
#define HALFMQ_CLIENTS_C_RESPOND_H

#include "clients/c/client/client.h"

void respond_text(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);
void respond_error(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);

/* A notification: put its params into the frame, then submit it. NULL: no memory. */
struct call *respond_notify(const char *method);

/* False: the connection is gone, or there is no memory. */
bool respond_submit(struct hmq_client *c, uint32_t epoch, struct call *call);

/* A notification about a stream of that connection; credit < 0: without. False: as respond_submit. */
bool respond_stream(struct hmq_client *c, uint32_t epoch, const char *method, int64_t stream,
                    int64_t credit);

/* Whether the connection is still there. */
bool respond_lives(struct hmq_client *c, uint32_t epoch);

#endif
