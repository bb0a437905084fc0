/*
 * respond.h: frames that belong to one connection, named by its epoch, and are dropped where that is lost: our
 * responses to the broker's requests, as it will ask again, and notifications about a stream, as it ended with
 * its connection.
 */
#ifndef HALFMQ_CLIENTS_C_RESPOND_H
#define HALFMQ_CLIENTS_C_RESPOND_H

#include "clients/c/client/client.h"

void respond_text(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);
void respond_error(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text);

/* A notification: put its params into the frame, then submit it. NULL: no memory. */
struct call *respond_notify(const char *method);

/* Submits a notification, or frees it. False: the connection is lost, or there is no memory. */
bool respond_submit(struct hmq_client *c, uint32_t epoch, struct call *call);

/* Submits a notification about a stream of that connection; credit below 0: it has none. False: as above. */
bool respond_stream(struct hmq_client *c, uint32_t epoch, const char *method, int64_t stream,
                    int64_t credit);

/* Whether the connection is still there. */
bool respond_lives(struct hmq_client *c, uint32_t epoch);

#endif
