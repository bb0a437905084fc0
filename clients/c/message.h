/*
 * message.h: messages as they came in a reply: a LIST of MAPs id, body, attributes, properties.
 */
#ifndef HALFMQ_CLIENTS_C_MESSAGE_H
#define HALFMQ_CLIENTS_C_MESSAGE_H

#include "clients/c/reply.h"

struct hmq_message {
    const struct hmq_reply *map, *attributes, *properties;
    const char *receipt;
    char id[HMQ_ID_SIZE]; /* the receipt without its attempt */
};

struct hmq_batch {
    struct hmq_reply *reply; /* owned; the messages point into it */
    size_t n;
    struct hmq_message items[];
};

/* Takes over the reply, on success only. HMQ_EPROTO: it holds no messages. HMQ_ENOMEM. */
enum hmq_status batch_of(struct hmq_reply *reply, struct hmq_batch **ret_batch);

/* Bytes of the message's body, properties and what keeping it costs; an estimate. */
size_t message_bytes(const struct hmq_message *m);

#endif
