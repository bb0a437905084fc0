/*
 * ops.h: what broker/net calls to have connections served (struct session_ops, struct loop_ops), and what it is given
 * at the start (struct net_env).
 *
 * Whoever serves the connections has a *session* for each connection (session_ops.size bytes that lie behind
 * struct conn, zeroed when it opens) and something for each loop (what loop_ops.open returns). This room never looks
 * into either.
 */
#ifndef HALFMQ_BROKER_OPS_H
#define HALFMQ_BROKER_OPS_H

#include "broker/journal/journal.h"
#include "broker/settings/settings.h"

struct conn;
struct loop;
struct news;
struct rpc_frame;
struct tls_server;

/* STALL: the command must wait until nothing of its connection is in flight. STALL_MEMORY: until connections hold less
 * memory. STALL_WORK: until the journal has less work. STALL_SLICE: until others have had their turn. It is parsed again
 * then. */
enum verdict { GO_ON, STALL, STALL_MEMORY, STALL_WORK, STALL_SLICE };

/* Which request a reply is for. */
struct request {
    uint64_t id; /* MessagePack-RPC */
    bool quiet; /* a notification: there is no reply */
};

/* What a session does. All of it is called by the loop's thread. */
struct session_ops {
    size_t size; /* of a session */

    /* A connection was opened; its session is zeroed. */
    void (*opened)(struct conn *c);

    /* A whole command. Its slices may end with this call. */
    enum verdict (*command)(struct conn *c, const struct command *cmd, struct request rq);

    /* Is a request that cannot be taken not to be told why, as its client is nobody yet? word: as below. */
    bool (*hides)(struct conn *c, struct slice word);

    /* A request that cannot be taken was answered with an error, and never comes to `command`. word: its first one, or
     * empty where it is not known. */
    void (*refused)(struct conn *c, struct slice word);

    /* MessagePack-RPC: the client answers a request of ours. */
    void (*response)(struct conn *c, const struct rpc_frame *f);

    /* While CONN_PUMPS is set, once each time the connection is settled: push what there is room for. */
    void (*pump)(struct conn *c);

    /* Asked after each flush while CONN_PUMPS is set. True: pump had to stop for want of room, and there is room. */
    bool (*has_room)(const struct conn *c);

    /* While CONN_COUNTS_SENT is set: output was sent; conn->sent is how much in all. */
    void (*sent)(struct conn *c);

    /* TLS: the client has shown a certificate; name: the user in it, as the setting tls_user says, or empty where it has
     * none. Once, before any command. */
    void (*certified)(struct conn *c, struct slice name);

    /* The client has ended its input, or is about to be shut: what waits for news ends now. */
    void (*input_ended)(struct conn *c);

    /* The connection takes no more requests; what is in flight still gets its replies. */
    void (*shut)(struct conn *c);

    /* The connection is DOOMED: nothing more is sent. This may be called in the middle of any other call, so nothing
     * that the session has may be freed yet. */
    void (*doomed)(struct conn *c);

    /* The connection is freed, and the session with it, right after this call: free what it has. */
    void (*gone)(struct conn *c);

    /* Does it wait for something that the broker will send: a subscription, a stream? */
    bool (*listens)(const struct conn *c);

    /* The connection was idle for some seconds: give back what is not needed. */
    void (*trim)(struct conn *c);
};

/* What a loop calls. All but open and close are called by the loop's thread. */
struct loop_ops {
    /* Makes what is kept for a loop. arg: net_env.arg. NULL: no memory. */
    void *(*open)(struct loop *l, const void *arg);
    void (*close)(struct loop *l);

    /* Before the loop sleeps: is there anything that news would wake? */
    bool (*wants_news)(struct loop *l);

    /* News was taken from the mailbox; the entries that came with it are handed back after this call. */
    void (*news)(struct loop *l, const struct news *news);

    /* Entries were handed back, timers have fired, or commands were submitted: what was woken looks again. */
    void (*woken)(struct loop *l);

    /* Pushes one portion to subscribers. True: there is more. */
    bool (*run)(struct loop *l);
};

/* What it works with; all of it outlives the loops. */
/* What is known of a client by its id. */
struct net_client {
    uint64_t id;
    bool there;
    char name[65];   /* "": it has none */
    int64_t seen_ms; /* when its last request about messages came; monotonic */
};

struct net_env {
    struct settings *settings;
    struct journal *journal;
    const struct session_ops *sessions;
    const struct loop_ops *loops;
    const void *arg; /* for loop_ops.open */
    struct tls_server *tls; /* NULL: TLS is never spoken */
    uint64_t last_client; /* no connection gets this id, or a smaller one */
};

#endif
