/*
 * reply.c: copies a value into a tree, and reads trees; see reply.h. A copy takes two walks over the value: one
 * adds up the memory, one copies.
 */
#include "clients/c/wire/reply.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"

struct space {
    size_t nodes, bytes;
};

struct filler {
    struct hmq_reply *next_node;
    char *next_byte;
};

static void reply_measure(const struct rpc_value *v, struct space *s)
{
    struct slice bytes;
    s->nodes++;
    if (rpc_bytes(v, &bytes))
        s->bytes += bytes.len + 1;
    for (size_t i = 0; i < rpc_len(v); i++) {
        if (rpc_kind(v) == RPC_MAP)
            reply_measure(rpc_key(v, i), s);
        reply_measure(rpc_at(v, i), s);
    }
}

static void reply_fill_bytes(struct filler *f, const struct rpc_value *v, struct hmq_reply *to)
{
    struct slice bytes = slice_of(NULL, 0);
    bool is_bytes = rpc_bytes(v, &bytes);
    assert(is_bytes);
    if (bytes.len)
        memcpy(f->next_byte, bytes.data, bytes.len);
    f->next_byte[bytes.len] = '\0';
    to->type = HMQ_BYTES;
    to->bytes = f->next_byte;
    to->n = bytes.len;
    f->next_byte += bytes.len + 1;
}

static void reply_fill(struct filler *f, const struct rpc_value *v, struct hmq_reply *to);

static void reply_fill_items(struct filler *f, const struct rpc_value *v, struct hmq_reply *to)
{
    bool map = rpc_kind(v) == RPC_MAP;
    to->type = map ? HMQ_MAP : HMQ_LIST;
    to->n = rpc_len(v);
    to->items = f->next_node;
    f->next_node += map ? 2 * to->n : to->n;
    for (size_t i = 0; i < to->n; i++) {
        if (map)
            reply_fill(f, rpc_key(v, i), &to->items[2 * i]);
        reply_fill(f, rpc_at(v, i), &to->items[map ? 2 * i + 1 : i]);
    }
}

static void reply_fill(struct filler *f, const struct rpc_value *v, struct hmq_reply *to)
{
    bool b = false;
    *to = (struct hmq_reply){.type = HMQ_NIL};
    switch (rpc_kind(v)) {
    case RPC_BOOL:
        to->type = rpc_bool(v, &b) ? HMQ_BOOL : HMQ_NIL;
        to->i = b;
        break;
    /* A number beyond 2^63-1 becomes nil: no such number is part of the contract. */
    case RPC_INT: to->type = rpc_int(v, &to->i) ? HMQ_INT : HMQ_NIL; break;
    case RPC_BYTES: reply_fill_bytes(f, v, to); break;
    case RPC_LIST:
    case RPC_MAP: reply_fill_items(f, v, to); break;
    case RPC_DOUBLE: to->type = rpc_double(v, &to->d) ? HMQ_DOUBLE : HMQ_NIL; break;
    case RPC_NIL:
    case RPC_OTHER: break;
    }
}

size_t reply_size(const struct rpc_value *v)
{
    struct space s = {0, 0};
    reply_measure(v, &s);
    return s.nodes * sizeof(struct hmq_reply) + s.bytes;
}

struct hmq_reply *reply_copy(const struct rpc_value *v)
{
    struct space s = {0, 0};
    reply_measure(v, &s);
    struct hmq_reply *root = malloc(s.nodes * sizeof *root + s.bytes);
    if (!root)
        return NULL;
    struct filler f = {.next_node = root + 1, .next_byte = (char *)(root + s.nodes)};
    reply_fill(&f, v, root);
    assert(f.next_node == root + s.nodes);
    return root;
}

void hmq_reply_free(hmq_reply *reply)
{
    free(reply);
}

enum hmq_type hmq_reply_type(const hmq_reply *r)
{
    return r ? r->type : HMQ_NIL;
}

int64_t hmq_reply_int(const hmq_reply *r, int64_t otherwise)
{
    int64_t n;
    enum hmq_type type = hmq_reply_type(r);
    if (type == HMQ_INT || type == HMQ_BOOL)
        return r->i;
    return type == HMQ_BYTES && text_int(slice_of(r->bytes, r->n), &n) ? n : otherwise;
}

uint64_t reply_uint(const struct hmq_reply *r)
{
    int64_t n = hmq_reply_int(r, 0);
    return n < 0 ? 0 : (uint64_t)n;
}

double hmq_reply_double(const hmq_reply *r, double otherwise)
{
    enum hmq_type type = hmq_reply_type(r);
    return type == HMQ_DOUBLE ? r->d : type == HMQ_INT ? (double)r->i : otherwise;
}

const void *hmq_reply_bytes(const hmq_reply *r, size_t *ret_len)
{
    bool bytes = hmq_reply_type(r) == HMQ_BYTES;
    if (ret_len)
        *ret_len = bytes ? r->n : 0;
    return bytes ? r->bytes : NULL;
}

const char *hmq_reply_text(const hmq_reply *r)
{
    return hmq_reply_bytes(r, NULL);
}

size_t hmq_reply_len(const hmq_reply *r)
{
    enum hmq_type type = hmq_reply_type(r);
    return type == HMQ_LIST || type == HMQ_MAP ? r->n : 0;
}

const hmq_reply *hmq_reply_at(const hmq_reply *r, size_t i)
{
    if (i >= hmq_reply_len(r))
        return NULL;
    return &r->items[r->type == HMQ_MAP ? 2 * i + 1 : i];
}

const hmq_reply *hmq_reply_key(const hmq_reply *r, size_t i)
{
    return hmq_reply_type(r) == HMQ_MAP && i < r->n ? &r->items[2 * i] : NULL;
}

const hmq_reply *hmq_reply_get(const hmq_reply *r, const char *name)
{
    if (hmq_reply_type(r) != HMQ_MAP || !name)
        return NULL;
    for (size_t i = 0; i < r->n; i++) {
        const char *key = hmq_reply_text(&r->items[2 * i]);
        if (key && strcmp(key, name) == 0)
            return &r->items[2 * i + 1];
    }
    return NULL;
}
