/*
 * reply.h: a reply as a tree that the application owns, in one block of memory.
 *
 *   [root][items of root ...][items of items ...] ... [bytes NUL][bytes NUL] ...
 *
 * A LIST of n has n items, a MAP of n pairs has 2n: key, value, key, value. A NUL follows each text and
 * is not part of its length. RPC_DEPTH_MAX limits the depth: the frame was checked for it when it was read.
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

/* A copy of the value; of nil where v is NULL. NULL: no memory. Free with hmq_reply_free. */
struct hmq_reply *reply_copy(const struct rpc_value *v);

/* The memory that the copy takes. */
size_t reply_size(const struct rpc_value *v);

/* The number; 0 where it is negative or there is none. */
uint64_t reply_uint(const struct hmq_reply *r);

#endif
