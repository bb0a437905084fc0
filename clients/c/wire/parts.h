/*
 * parts.h: what a record's message has. Its texts and its body have a NUL behind them, which does not
 * count, and may have others inside; absent ones are NULL.
 */
#ifndef HALFMQ_CLIENTS_C_PARTS_H
#define HALFMQ_CLIENTS_C_PARTS_H

#include "clients/c/wire/reply.h"

struct parts_prop {
    struct slice name, value;
};

struct parts {
    const char *topic, *tag, *group, *origin;
    struct slice order, reason; /* data NULL: absent */
    const void *body;
    size_t len;
    struct slice *keys;
    struct parts_prop *props;
    size_t n_keys, n_props;
    uint64_t offset, txid;
    int64_t stored_ms, born_ms, expires_ms, lease_until_ms;
    uint32_t fields, queue, attempt, attempts; /* fields: MSG_*; attempt 0: not leased */
    uint8_t priority;
};

/* Writes id and receipt, each of at most HMQ_ID_SIZE bytes and PARTS_NAME_BYTES more than the topic; they are the same
 * where it is not leased. */
#define PARTS_NAME_BYTES 48 /* ":4294967295:18446744073709551615#4294967295" and a NUL */
void parts_name(const struct parts *p, char *ret_id, char *ret_receipt);

/* The attributes as POP would answer them; NULL: no memory. Free with hmq_reply_free. */
struct hmq_reply *parts_attributes(const struct parts *p);

#endif
