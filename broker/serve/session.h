/*
 * session.h: what one connection has under way, and what one loop keeps for all of its connections.
 *
 *   struct conn │ struct session ─┬─ waits           parked or running, newest first     wait.c, waiter.c
 *               │                 ├─ subscriber      the channels it stands in           channel.c
 *               │                 ├─ asks            check-backs it was handed           checkback.c
 *               │                 ├─ streams, marks                                      stream.c, marks.c
 *               │                 ├─ multi           what EXEC will do, or is answering    multi/
 *               │                 └─ delivering      POPs whose replies are not sent     delivery.c
 *
 *   struct loop ──► struct serve_loop ── waiters, channels, replies made in steps, what is submitted later
 *
 * A session lies behind its connection in one block, so it is as cheap as a few fields more. What it has under way
 * is told to the connection by conn_need, so that an idle one costs no call a turn.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_SESSION_H
#define HALFMQ_BROKER_SESSION_H

#include "broker/checks/asks.h"
#include "broker/net/conn.h"
#include "broker/serve/channel.h"
#include "broker/serve/marks.h"
#include "broker/serve/serve_env.h"
#include "broker/serve/submit.h"
#include "broker/serve/waiter.h"
#include "broker/serve/who/who_state.h"
#include "storage/access/allowed.h"

struct session {
    struct who who;
    struct timer token_ends; /* not set: it is not one of a token (login/login.h) */
    struct waiter *waits;
    uint32_t n_waits;
    uint8_t multi_state; /* enum multi_state (multi/multi.h) */
    struct multi *multi; /* NULL: nothing is queued, nor answered by EXEC */
    struct subscriber subscriber;
    struct asks asks; /* by MessagePack-RPC under these ids */
    struct stream *streams; /* newest first */
    uint32_t n_streams;
    uint64_t last_stream; /* id */
    struct marks marks; /* leases that stand in the output: of streams, ... */
    struct entry *going_on; /* a POP without WAIT that was submitted again; NULL: none (text connections) ... */
    struct entry_list behind; /* ... and what has come back since, and is replied to after it */
    struct entry_list delivering; /* ... and of POPs */
    struct long_reply *long_reply; /* NULL: none is being made */
    struct client_listing *client_listing; /* the same */
    char *certified; /* the user that the client's certificate names, "" for none; NULL: it has shown none */
    size_t charged; /* what the connection's account has of asks, marks and delivering; bytes */
};

/* What long_reply.c has for a loop. */
struct long_replies {
    struct long_reply *first, *last; /* at work and queued, in turn */
    uint32_t n_working, n_queued;
    struct timer look;
    uint64_t turn; /* of the last step */
    void (*ended)(struct conn *c);
    void (*pushed)(struct loop *l, struct slice pgroup, bool settled);
};

/* What client_list.c has for a loop. */
struct client_listings {
    struct client_listing *first, *last; /* under way, in turn */
    uint64_t turn; /* of the last step */
};

/* What multi/exec.c has for a loop. */
struct execs {
    struct multi *first, *last; /* those that are being answered, in turn */
    uint32_t n_views;
    uint64_t turn; /* of the last step */
    /* Does a LOCAL command, and replies once. */
    void (*run_local)(struct conn *c, const struct command *cmd, struct request rq);
};

/* What sieve.c has for a loop: POPs for which messages are looked at. */
struct sieve {
    struct entry *working;     /* NULL: none */
    struct entry_list entries; /* those behind it, oldest first */
    uint64_t turn;             /* of the last step */
};

struct serve_loop {
    struct serve_env env;
    struct users *users; /* held, as of ... (who.c); NULL: not read yet */
    uint64_t users_gen;
    struct allowed_names allowed; /* of `users`: names that they were allowed */
    uint64_t swept_gen; /* for which all connections were looked at (who/allow.c) */
    struct waiters waiters;
    struct channels channels;
    struct long_replies long_replies;
    struct client_listings client_listings;
    struct execs execs;
    struct sieve sieve;
    struct record_cache *records; /* that streams read last; NULL: no memory */
    struct submit_late late;
};

static inline struct session *session_of(struct conn *c)
{
    return (struct session *)(void *)c->session;
}

/* Which request an entry is of (answer_address). */
static inline struct request session_request_of(const struct entry *e)
{
    return (struct request){.id = e->request & UINT32_MAX, .quiet = (e->request >> 32) != 0};
}

/* After asks, marks or delivering have grown or shrunk. */
static inline void session_charge(struct conn *c)
{
    struct session *s = session_of(c);
    size_t now = s->asks.size * sizeof *s->asks.ring + s->marks.size * sizeof *s->marks.m + s->delivering.bytes;
    if (now == s->charged)
        return;
    conn_keep(c, now);
    conn_keep_no_more(c, s->charged);
    s->charged = now;
}

static inline struct serve_loop *serve_of(struct loop *l)
{
    return l->serve;
}

#endif
