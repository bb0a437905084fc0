/*
 * client_inner.h: the client itself, for the files of this folder.
 *
 *   any thread ──client_submit──► core ◄──────────── driver thread (driver.c, peer.c)
 *                   (lock)         (lock)             = our own (thread.c) or the application's loop
 *
 * `lock` guards everything above the line "driver thread only", except for what is said never to change.
 */
#ifndef HALFMQ_CLIENTS_C_CLIENT_INNER_H
#define HALFMQ_CLIENTS_C_CLIENT_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "clients/c/client/client.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/memory.h"
#include "clients/c/wire/latency.h"
#include "clients/c/wire/net.h"

#define DIAL_ATTEMPTS 8 /* side by side, at most */

struct lookup_job;

/* An address that is being connected to. */
struct dial_attempt {
    int fd;
    size_t endpoint;
    struct address address;
    int64_t deadline_ms;
};

/* A round of these; dial.h. */
struct dial {
    struct endpoints endpoints;
    size_t endpoint; /* whose addresses are taken next, where those in `found` are used up */
    size_t left; /* servers that were not asked in this round */
    size_t owner; /* whose the addresses in `found` are */
    struct addresses found;
    size_t next; /* the one of these that is tried next */
    struct lookup_job *lookup; /* of `owner` */
    int64_t lookup_deadline_ms;
    int epoll; /* -1: it does not go */
    struct dial_attempt attempts[DIAL_ATTEMPTS];
    size_t n;
    int64_t apart_ms; /* when another one may be begun though none has failed */
};

/* What was read; intake.h. */
struct intake {
    struct rpc_reader *reader; /* NULL: no connection was made yet */
    struct buf in;
    uint8_t *block; /* NULL: there is none, and the frame that has begun is in `in` */
    size_t block_size, block_len;
    size_t used; /* bytes of `in` that were dispatched */
    unsigned large; /* so many reads more begin with FIRST_BYTES: there was a large frame a short time ago */
    bool many; /* the frame that has begun has many values: its length is not known before its end, and it stays in `in` */
    bool taken; /* the block of the frame that is dispatched is somebody else's now */
};

/* peer.h draws these. */
enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_SHAKING, PEER_UP };

struct peer {
    enum peer_state state;
    struct net_link net;
    enum net_shake shake; /* what the transport waits for; SHAKING */
    struct intake intake;
    struct dial dial;
    struct dial_attempt won; /* what the connection goes to; its socket is in net */
    int64_t next_try_ms, pause_ms;
    int64_t heard_us; /* when bytes were last received */
    bool pinged; /* a ping was sent since then */
    bool overdue; /* give_up_ms has passed once */
    int64_t give_up_ms; /* pinged: when the broker is given up */
    bool answered; /* something was received on this connection */
};

/* What other threads may know of the connection. */
enum line {
    LINE_DOWN,
    LINE_UP,
    LINE_FULL /* the socket takes no more bytes for now */
};

/* driver.c draws these. */
enum driver_state {
    DRIVER_NONE, /* has not run yet: driver_thread is not set */
    DRIVER_AWAKE,
    DRIVER_SLEEPING, /* until sleep_until_ms */
    DRIVER_WOKEN /* sleeping, but wake_fd was written to */
};

struct hmq_client {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* signalled with every ++changes */
    uint64_t changes;
    bool loop_waits; /* the application's loop thread waits for a change, and for the socket */
    struct core core;
    struct service_list services;
    struct call_list taken_back; /* the driver calls their done() */
    enum line line;
    unsigned users; /* the application, and each role: client_hold */
    bool stopping; /* the last of them has released it */
    bool flooded; /* the broker sends requests, and does not read the replies: its connection is to be closed */
    bool looked_up; /* a look-up has ended since the driver last woke */
    unsigned waiting_for_room; /* threads */
    enum driver_state driver;
    pthread_t driver_thread;
    int64_t sleep_until_ms;
    uint32_t epoch; /* number of the connection; written by the driver thread only */
    struct latencies latency;
    uint64_t disconnects, connect_failures;
    uint64_t connects, checks, bytes_in, bytes_out;
    char last_error[HMQ_ERROR_TEXT_SIZE];

    struct gate gate; /* of the functions of the client itself that wait */
    _Atomic bool ending; /* calls that are pending no more are being told so; set under the lock, cleared after that */
    _Atomic unsigned flushing; /* threads in hmq_client_flush */
    pthread_mutex_t stats_lock;
    struct stats_sources stats_sources; /* stats_lock */
    _Atomic uint32_t next_id;
    struct hmq_options *options; /* never changes */
    struct memory *memory; /* never changes */
    void (*end)(struct hmq_client *c); /* never changes: called where nobody has the client any more */
    int wake_fd; /* never changes */
    bool threaded; /* never changes: the driver is our own thread */
    pthread_t thread;

    /* driver thread only */
    struct peer peer;
    hmq_loop loop; /* the application's; without functions where threaded */
    int told_fd, told_read, told_write; /* watch.h */
    int64_t told_until_ms;
    int64_t timer_ms; /* when the loop's timer ends; CORE_NEVER: it has none */
    unsigned inside; /* > 0: a callback of ours may be on the stack */
    void (*bury)(struct hmq_client *c); /* it was released in a callback: the driver calls this, and touches it no more */
};

#endif
