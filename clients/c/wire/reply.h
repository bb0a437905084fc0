/*
 * reply.h: an answer as a tree of the caller's own, in one block of memory.
 *
 *   [root][items of root ...][items of items ...] ... [bytes NUL][bytes NUL] ...
 *
 * A LIST of n has n items, a MAP of n pairs 2n: key, value, key, value. Every text has a NUL behind
 * it that does not count. The depth is bounded by RPC_DEPTH_MAX, which the frame was scanned for.
 */
#ifndef HALFMQ_CLIENTS_C_REPLY_H
#define HALFMQ_CLIENTS_C_REPLY_H

#include "clients/c/halfmq.h"
#include "protocol/rpc/rpc.h"

struct hmq_reply {
    enum hmq_type type;
    size_t n; /* items, pairs or bytes */
    union {
        int64_t i;
        double d;
        const char *bytes;
        struct hmq_reply *items;
    };
};

/* A copy of the value (NULL: nil). NULL: no memory. Free with hmq_reply_free. */
struct hmq_reply *reply_copy(const struct rpc_value *v);

/* The number, negative or absent ones as 0. */
uint64_t reply_uint(const struct hmq_reply *r);

#endif
