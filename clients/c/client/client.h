/*
 * client.h: the inside of a client, for the files of the library.
 *
 *   any thread ──client_submit──► core ◄──────────── driver thread (driver.c, peer.c)
 *                   (lock)         (lock)             = our own (thread.c) or the application's loop
 *
 * `lock` guards everything above the line `driver thread only`. No callback, no done() and no service
 * runs with it held. A role (producer, consumer ..) has a lock of its own, which may be held while
 * submitting: role's lock before client's lock, never the other way round.
 *
 * A *service* is a role that the driver serves: told of a new connection, ticked at its due time,
 * offered the broker's check-backs. To add a role: embed a struct service, fill its functions.
 */
#ifndef HALFMQ_CLIENTS_C_CLIENT_H
#define HALFMQ_CLIENTS_C_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/net.h"
#include "clients/c/wire/options.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"

struct service {
    TAILQ_ENTRY(service) link;
    /* All on the driver thread, without the client's lock; each may be NULL. */
    void (*connected)(struct service *s);
    int64_t (*tick)(struct service *s, int64_t now_ms); /* returns when it is due next */
    bool (*check)(struct service *s, uint64_t id, const struct rpc_value *params); /* mine? */
    bool (*notify)(struct service *s, struct slice method, const struct rpc_value *params);
    int64_t due_ms; /* client's lock */
    bool busy; /* the driver is inside one of the functions */
};

TAILQ_HEAD(service_list, service);

enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_UP };

struct peer {
    enum peer_state state;
    int fd; /* -1: none */
    struct rpc_reader *reader;
    struct buf in;
    struct endpoints endpoints;
    size_t endpoint; /* which one is tried */
    struct addrinfo *found; /* its addresses, and the one tried */
    struct addrinfo *address;
    int64_t next_try_ms, connect_deadline_ms, pause_ms;
    int64_t heard_ms; /* last bytes received */
    bool pinged;
};

struct hmq_client {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* with every ++changes */
    uint64_t changes;
    struct core core;
    struct service_list services;
    bool connected, stopping;
    bool blocked; /* the socket takes no more for now */
    bool sleeping, woken; /* the driver waits; it was told to stop waiting */
    int64_t sleep_until_ms;
    uint32_t epoch; /* counts connections */
    uint64_t connects, checks, bytes_in, bytes_out;
    char last_error[HMQ_ERROR_TEXT_SIZE];
    pthread_t driver_thread;
    bool has_driver;

    _Atomic uint32_t next_id;
    struct hmq_options *options; /* never changes */
    int wake_fd;
    bool threaded;
    pthread_t thread;

    /* driver thread only */
    struct peer peer;
    hmq_loop loop;
    int told_fd, told_read, told_write;
    int64_t told_until_ms;
    unsigned inside; /* > 0: a callback of ours may be on the stack */
};

/* A call of this client. */
static inline uint32_t client_id(struct hmq_client *c)
{
    return atomic_fetch_add(&c->next_id, 1);
}

/* timeout_ms of the public functions as a time; HMQ_DEFAULT and its like are the option's. */
int64_t client_deadline(const struct hmq_client *c, int64_t timeout_ms);

/* Hands a call over. HMQ_EAGAIN, HMQ_ENOMEM, HMQ_ECLOSED: it is still the caller's. Any thread. */
enum hmq_status client_submit(struct hmq_client *c, struct call *call, int64_t linger_ms);

/* True on the thread that drives the socket. */
bool client_on_driver(struct hmq_client *c);

/* Says that something changed that client_await may be waiting for. Without client's lock. */
void client_changed(struct hmq_client *c);

/*
 * Waits until holds(arg), which is called without a lock, or the deadline. On the loop thread of an
 * application it drives the socket meanwhile. HMQ_ETIMEDOUT; HMQ_EWOULDBLOCK inside a callback.
 */
enum hmq_status client_await(struct hmq_client *c, bool (*holds)(void *arg), void *arg,
                             int64_t deadline_ms);

void client_service_add(struct hmq_client *c, struct service *s);

/* Waits until the driver is out of it. Not from one of its functions. */
void client_service_remove(struct hmq_client *c, struct service *s);

/* The service is ticked as soon as the driver can. */
void client_service_kick(struct hmq_client *c, struct service *s);

/* The service is ticked at due_ms at the latest. */
void client_service_at(struct hmq_client *c, struct service *s, int64_t due_ms);

/* Whether the bounds on pending requests leave room for another one. */
bool client_has_room(struct hmq_client *c);

/* Offers each service to visit() until it answers true; whether it did. Driver thread. */
bool services_visit(struct hmq_client *c, bool (*visit)(struct service *s, void *arg), void *arg);

/* Tells the application; driver thread. */
void client_event(struct hmq_client *c, enum hmq_event event, const char *text);

/* Wakes the driver where it sleeps beyond due_ms. Under the lock. */
void client_wake_locked(struct hmq_client *c, int64_t due_ms);

/* Ends the calls of the list, each with its own status. Without the lock. */
void client_finish(struct hmq_client *c, struct call_list *ended);

/* Takes back every call of this owner and ends it, on this thread. Without any lock. */
void client_cancel_owned(struct hmq_client *c, const void *owner);

/* The general text of a status and, where it has to do with the connection, what is wrong with that. */
enum hmq_status client_explain(struct hmq_client *c, enum hmq_status status, hmq_error *err);

/* thread.c: the client's own thread. False: the system has none to give. */
bool thread_start(struct hmq_client *c);

#endif
