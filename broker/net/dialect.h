/*
 * dialect.h: what a connection needs of a dialect: parsing requests, and writing replies.
 *
 *   dialect_resp.c   RESP2, RESP3, inline         dialect_rpc.c   MessagePack-RPC
 *
 * To add a dialect: a file with a struct dialect, and its first bytes in conn_in.c's conn_in_sniff.
 */
#ifndef HALFMQ_BROKER_DIALECT_H
#define HALFMQ_BROKER_DIALECT_H

#include "broker/net/ops.h"

struct dialect {
    /* Replies have no ids, so they are sent in the order of the requests. */
    bool text;

    /* Parses requests and hands each to the session, as long as conn_ready (conn.h); returns how many bytes may be
     * dropped. Sets conn->stalled where whole requests may be left. */
    size_t (*parse)(struct conn *c, struct slice input);

    /* Appends one finished reply to the output. */
    void (*answer)(struct conn *c, struct request rq, struct slice tokens);

    /* Appends a piece of one, whole tokens; first: it begins the reply. It is no error, and no message is cut. */
    void (*piece)(struct conn *c, struct request rq, struct slice tokens, bool first);
};

extern const struct dialect dialect_resp, dialect_rpc;

/* Before the first byte: errors are told as RESP. */
extern const struct dialect dialect_unknown;

#endif
