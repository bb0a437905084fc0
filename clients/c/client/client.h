/*
 * client.h: what the roles (producer, consumer, reader ...) may do with the client that they belong to.
 *
 *   service.h   being called by the driver          respond.h   frames without a reply
 *   wait.h      waiting for something               workers.h   threads that run tasks
 *   awaited.h   one request, waited for             gate.h      being closed while other threads are inside
 *
 * The client itself is opaque here; client_inner.h draws it.
 *
 * Locks: a role has a lock of its own and may hold it while it calls any function of this file, unless said
 * otherwise: a role's lock is taken before the client's. No callback, no done() and no function of a
 * service runs with the client's lock held.
 */
#ifndef HALFMQ_CLIENTS_C_CLIENT_H
#define HALFMQ_CLIENTS_C_CLIENT_H

#include <stdatomic.h>

#include "clients/c/wire/call.h"
#include "clients/c/wire/options.h"

/* Who is inside the functions of a role, or of the client: gate.h. */
struct gate {
    _Atomic uint32_t word; /* a flag: it is being closed; and how many are inside */
};

/* A role that the driver calls; service.h says how to add one. */
struct service {
    TAILQ_ENTRY(service) link;
    /* All on the driver thread, without the client's lock; each may be NULL. */
    void (*connected)(struct service *s);
    int64_t (*tick)(struct service *s, int64_t now_ms); /* returns when it is due next */
    /* True: the check-back, or the notification, was for this service. */
    bool (*check)(struct service *s, uint64_t id, const struct rpc_value *params);
    bool (*notify)(struct service *s, struct slice method, const struct rpc_value *params);
    int64_t due_ms; /* client's lock */
    bool busy; /* client's lock: the driver is inside one of the functions */
};

TAILQ_HEAD(service_list, service);

enum stats_kind { STATS_PRODUCER, STATS_TXN_PRODUCER, STATS_CONSUMER, STATS_READER, STATS_SUBSCRIPTION, STATS_KINDS };

/* A role whose statistics are part of the client's; stats.h. */
struct stats_source {
    LIST_ENTRY(stats_source) link;
    enum stats_kind kind;
    void (*write)(struct stats_source *s, struct buf *to); /* the members of its JSON object */
};

LIST_HEAD(stats_sources, stats_source);

/* The client's options; they never change. */
const struct hmq_options *client_options(const struct hmq_client *c);

/* The client lives until the application and each of its roles have released it. Any thread; the last release closes
 * it, so nothing of it is used after that. */
void client_hold(struct hmq_client *c);
void client_release(struct hmq_client *c);

/* What counts the memory of what the broker sends on its own account. */
struct memory *client_memory(const struct hmq_client *c);

/* The id of a new request. Any thread. */
uint32_t client_id(struct hmq_client *c);

#define TIMEOUT_MS_MAX (366LL * 24 * 3600 * 1000) /* nothing is waited for longer */

/* A timeout_ms of the public functions as a time of clock_ms(). Below 0: the option call_timeout_ms. */
int64_t client_deadline(const struct hmq_client *c, int64_t timeout_ms);

/*
 * Hands a request over to the driver, which calls its done() later; it is written linger_ms from now at the
 * latest. HMQ_EAGAIN, HMQ_ENOMEM, HMQ_ETOOBIG, HMQ_ECLOSED: the call is still the caller's. Any thread.
 */
enum hmq_status client_submit(struct hmq_client *c, struct call *call, int64_t linger_ms);

/*
 * How many requests of at most CLIENT_ROOM_BYTES the limits on pending requests leave room for, so that the caller need
 * not ask before each: a small share of what is left, as others ask too. 0: there is none.
 */
#define CLIENT_ROOM_BYTES 4096
#define CLIENT_ROOM_SHARE 64
#define CLIENT_ROOM_MOST 64
size_t client_room(struct hmq_client *c);

/* Says that the caller waits for that (wait.h), or does not any more: it is woken when a quarter is free. */
void client_await_room(struct hmq_client *c, bool waits);

/* Whether there is a connection. */
bool client_is_connected(struct hmq_client *c);

/* The number of the connection, from 1; 0: there was none yet. Driver thread only. */
uint32_t client_epoch(const struct hmq_client *c);

/* True on the thread that drives the socket. */
bool client_on_driver(struct hmq_client *c);

/* When bytes were last received, in microseconds of the monotonic clock: the time of an answer. Driver thread only. */
int64_t client_heard_us(const struct hmq_client *c);

/* The frame that is being dispatched is large, and in a block of memory_block, which belongs to the caller from now on; the
 * frame's bytes stay in it. NULL: it is not, or it would be over the limit (as memory_take). Driver thread only. */
void *client_take_block(struct hmq_client *c, bool asked, size_t *ret_size);

/* Wakes those who wait for a change (wait.h), to look again. */
void client_changed(struct hmq_client *c);

/* Calls the application's event function, where it set one. Driver thread, without any lock. */
void client_event(struct hmq_client *c, enum hmq_event event, const char *text);

/* Notes why there is no connection, and tells the application so. Driver thread, without any lock. */
void client_note_failure(struct hmq_client *c, const char *text);

/* Calls done() of each call in the list, with its call->status. Driver thread, without any lock. Whoever takes calls out
 * of the core says so by client_ending, under the same lock: until they are told, they count for hmq_client_flush. */
void client_finish(struct hmq_client *c, struct call_list *ended);
void client_ending(struct hmq_client *c);

/* The end of done() of one call, or of many. tell: those who wait for a change are woken in any case. */
void client_ended(struct hmq_client *c, bool tell);

/* Takes back every pending call of this owner. The driver calls their done(): wait for that. Only where there is no
 * driver yet, they are called here. Without any lock. */
void client_cancel_owned(struct hmq_client *c, const void *owner);

/* Fills err with the general text of the status and, where the status is about the connection, with what is
 * wrong with that. */
enum hmq_status client_explain(struct hmq_client *c, enum hmq_status status, hmq_error *err);

#endif
