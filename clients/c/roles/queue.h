/*
 * queue.h: questions about one queue of a topic, whose caller waits for the answer.
 */
#ifndef HALFMQ_CLIENTS_C_QUEUE_H
#define HALFMQ_CLIENTS_C_QUEUE_H

#include "clients/c/client/awaited.h"

/* A queue, and on whose behalf it is asked about. */
struct queue_place {
    struct hmq_client *client;
    struct gate *gate; /* NULL: the client's */
    const void *owner; /* awaited.h; NULL: nobody's */
    const char *topic;
    uint32_t queue;
};

/*
 * Reads the first message from the offset on: its offset and when it was stored. HMQ_OK with *ret_found false: there is
 * none. HMQ_EDAMAGED: it cannot be read; *ret_offset is the first offset behind the damage. Other errors as hmq_call.
 */
enum hmq_status queue_look(const struct queue_place *q, uint64_t offset, int64_t timeout_ms, bool *ret_found,
                           uint64_t *ret_offset, int64_t *ret_stored_ms, hmq_error *err);

#endif
