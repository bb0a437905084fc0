/*
 * headers.h: what a message is sent with besides its body, from the options of the send and, where they name a message
 * to be like, from that one.
 *
 *   keys, tag, order, priority, ttl    the options' own; where they have none, the other message's
 *   properties                         the other message's, but for those whose names the options have; then these
 *
 * A message that names its queue has no ORDER key of another one: the broker refuses both together.
 * All is borrowed from the options and from the other message.
 */
#ifndef HALFMQ_CLIENTS_C_HEADERS_H
#define HALFMQ_CLIENTS_C_HEADERS_H

#include "clients/c/wire/message.h"

struct headers {
    const hmq_send_options *options;
    const struct hmq_message *like; /* NULL: none */
    size_t n_keys, n_props;
    struct slice tag, order; /* data NULL: none */
    int32_t priority; /* -1: none */
    int64_t ttl_ms; /* 0: none */
};

/* The options are checked: no text in them is NULL that must not be. */
struct headers headers_of(const hmq_send_options *o);

/* Key i, below n_keys. */
struct slice headers_key(const struct headers *h, size_t i);

/* Steps through the properties, *at from 0; false at the end. */
bool headers_prop(const struct headers *h, size_t *at, struct parts_prop *ret_prop);

#endif
