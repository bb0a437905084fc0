/*
 * link.h: a connection of a load, and its ops: what is in flight on it.
 *
 *   op    a send or a batch, a POP with its ACK, a transaction
 *         free ─► started (intended_ns) ─► asked ─► answered ─┬─► done: timed, counted ─► free
 *                                            ▲                └─► a pause (busy, work) ─┐
 *                                            └──────────────────────────────────────────┘
 *
 *   state      DOWN ─► CONNECTING ─► UP ─► DOWN: the connection broke; it is made again after a pause
 *   phase      LINK_STARTS ─► LINK_ENDS: starts no more ops ─► LINK_DONE: has none in flight either
 *
 * The tag of a request is op * span + part, so that its answer finds the op again.
 */
#ifndef HALFMQ_BENCH_LINK_H
#define HALFMQ_BENCH_LINK_H

#include "bench/base/chance.h"
#include "bench/base/pace.h"
#include "bench/load/role.h"
#include "bench/load/worker.h"
#include "bench/wire/speech.h"
#include "clients/c/wire/net.h"

#define TXID_BYTES 24

struct flow;

/* A message of verify that is being acknowledged. */
struct seen {
    uint32_t key;
    uint64_t seq;
};

struct op {
    int64_t intended_ns; /* latency counts from here */
    int64_t asked_ns; /* when its request was made, or the first of several */
    uint32_t n; /* messages in it */
    uint32_t claimed; /* taken from the budget for it */
    uint32_t left; /* answers that have not come yet */
    uint8_t stage; /* defined by its role */
    bool active;
    bool again; /* has to be asked again */
    bool failed;
    uint8_t fate; /* transactor: what becomes of it */
    uint8_t txid_len;
    char txid[TXID_BYTES];
    uint32_t key;
    uint64_t seq; /* of its first message */
    uint64_t bytes;
    struct reminder pause; /* may still be set when the op is done: it is not cancelled */
    struct buf receipts; /* consumer with --work: kept until they are acknowledged, each with its length */
    struct seen *seen; /* consumer in verify: the messages that are being acknowledged */
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP };
enum link_phase { LINK_STARTS, LINK_ENDS, LINK_DONE };

struct load_link {
    struct worker *worker;
    const struct role *role;
    uint32_t index; /* among the links of its role */
    int fd;
    struct net_link net; /* TLS on fd (secure.h); fd -1: plain */
    enum link_state state;
    enum link_phase phase;
    bool was_up; /* has connected once */
    bool wants_write; /* epoll looks for room to write */
    struct reminder connect_later, start_later;
    int64_t down_ns; /* when it lost its connection */
    struct buf out, in;
    size_t out_at, in_at;
    struct speech speech;
    struct pace pace;
    int64_t join_ns; /* closed loop with --ramp: how long after the begin it starts its first op */
    struct chance chance;
    uint32_t n_ops, n_active, span;
    struct op *ops;
    uint32_t *free_ops, n_free;
    uint32_t n_keys, next_key; /* verify: its keys are index, index + links, ... */
    uint8_t *key_taken;
    uint64_t seq;
    struct flow *flow; /* streamer */
    bool last_empty; /* consumer: the last POP returned nothing */
};

/* span: the requests of an op are numbered below it. False: no memory; link_fini it anyway. */
bool link_init(struct load_link *l, struct worker *w, const struct role *role, uint32_t index, uint32_t n_ops,
               uint32_t span);
void link_fini(struct load_link *l);

/* The claim function of roles whose ops are one batch each. */
uint32_t link_claim_batch(struct load_link *l, int64_t intended_ns);

/* Adds the request to the output. Its answer is passed to the role with the same part. */
void link_ask(struct load_link *l, struct op *op, uint32_t part, struct wire_ask *ask);

/* The role's remind is called for the op after that time. */
void link_pause(struct load_link *l, struct op *op, int64_t for_ns);

/* Ends the op, all of whose answers have come, so that its place can be used again. */
void link_done(struct load_link *l, struct op *op);

#endif
