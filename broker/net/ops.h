/*
 * ops.h: what broker/net calls of those who serve its connections, and what it is given at the start.
 *
 * They keep a *session* a connection (session_ops.size bytes that lie behind struct conn, zeroed when it opens) and
 * something a loop (what loop_ops.open returns). This room never looks into either.
 */
#ifndef HALFMQ_BROKER_OPS_H
#define HALFMQ_BROKER_OPS_H

#include "broker/journal/journal.h"
#include "broker/settings/settings.h"

struct conn;
struct loop;
struct news;
struct rpc_frame;

/* STALL: the command must wait until nothing of its connection is in flight. It is parsed again then. */
enum verdict { GO_ON, STALL };

/* To whom an answer goes. */
struct request {
    uint64_t id; /* MessagePack-RPC */
    bool quiet; /* a notification: nothing is answered */
};

/* What a session does. All of it is called by the loop's thread. */
struct session_ops {
    size_t size; /* of a session */

    /* A whole command. Its slices may end with this call. */
    enum verdict (*command)(struct conn *c, const struct command *cmd, struct request rq);

    /* MessagePack-RPC: the client answers a request of ours. */
    void (*response)(struct conn *c, const struct rpc_frame *f);

    /* Once a turn, while CONN_PUMPS is set: push what there is room for. */
    void (*pump)(struct conn *c);

    /* Asked after each flush while CONN_PUMPS is set. True: pump had to stop for want of room, and there is room. */
    bool (*has_room)(const struct conn *c);

    /* While CONN_COUNTS_SENT is set: output was sent, conn->sent tells how much. */
    void (*sent)(struct conn *c);

    /* The client has ended its input, or is not listened to any longer: what waits for news ends now. */
    void (*input_ended)(struct conn *c);

    /* No more requests are taken; what is in flight is still answered. */
    void (*shut)(struct conn *c);

    /* Nothing more is sent. The call may come from the middle of any other: only `gone` may take things apart. */
    void (*doomed)(struct conn *c);

    /* The end: the session's memory goes with the connection's right after this. */
    void (*gone)(struct conn *c);

    /* The connection was idle for some seconds: give back what is not needed. */
    void (*trim)(struct conn *c);
};

/* What a loop does for those who serve its connections. All but open and close: the loop's thread. */
struct loop_ops {
    /* What is kept for a loop; arg: of net_env. NULL: no memory. */
    void *(*open)(struct loop *l, const void *arg);
    void (*close)(struct loop *l);

    /* Before the loop sleeps: is there anybody whom news would wake? */
    bool (*wants_news)(struct loop *l);

    /* News was taken from the mailbox; the entries that came with it are handed back after this call. */
    void (*news)(struct loop *l, const struct news *news);

    /* Entries were handed back, or timers have fired: those who were woken look again. */
    void (*woken)(struct loop *l);

    /* One portion of what is to be pushed. True: there is more. */
    bool (*run)(struct loop *l);
};

/* What it works with; all of it outlives the loops. */
struct net_env {
    struct settings *settings;
    struct journal *journal;
    const struct session_ops *sessions;
    const struct loop_ops *loops;
    const void *arg; /* for loop_ops.open */
};

#endif
