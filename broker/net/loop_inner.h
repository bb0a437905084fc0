/*
 * loop_inner.h: the loop as its own files see it (loop, conn, dispatch, waiter, pubsub, checkback,
 * local). Everything here belongs to the loop's thread; from outside come only letters.
 */
#ifndef HALFMQ_BROKER_LOOP_INNER_H
#define HALFMQ_BROKER_LOOP_INNER_H

#include <pthread.h>

#include "broker/net/conn.h"
#include "broker/net/loop.h"
#include "broker/journal/mailbox.h"
#include "broker/serve/pubsub.h"
#include "broker/base/timers.h"
#include "broker/serve/waiter.h"

struct slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

/* Looking a little longer pays or it does not: what was in vain is tried ever more seldom. */
struct patience {
    uint32_t misses; /* in a row */
    uint32_t skip;   /* turns until the next try */
};

#define SPARE_BUFS 64
#define SPARE_BYTES_KEEP ((size_t)KIB(64))
#define REPLY_BYTES_KEEP ((size_t)KIB(256))

struct loop {
    struct journal_client client; /* first: the journal's callbacks get this address */
    struct server *server;
    uint32_t number;
    bool alone; /* no other loop answers clients */
    pthread_t thread;

    struct event_base *base;
    struct event *wake_event, *timer_event, *sweep_event;
    int64_t armed_ms; /* what timer_event is set for; INT64_MAX: not set */
    struct mailbox box;
    struct letters letters;
    struct timers timers;
    struct waiters waiters;
    struct pubsub pubsub;
    struct counters counters;

    struct command_space space; /* parsing never nests, so one is enough for all connections */
    struct buf reply; /* tokens of the answer being made */
    struct entry_pool entries;
    uint8_t *scratch; /* READ_BYTES: where sockets are read */
    struct buf spare[SPARE_BUFS];
    uint32_t n_spare;

    struct view *view; /* of this turn; see loop_view */

    pthread_mutex_t list_lock; /* slots (pointers and size) and names, for loop_list_clients */
    struct slot *slots;
    uint32_t n_slots, free_slot, n_conns;
    struct conn *touched, *touched_last;
    struct conn *doomed;

    uint32_t in_flight; /* entries that the journal has */
    uint32_t gather_target; /* how many it may expect: the largest group of late, see gather */
    struct patience gather, linger;
    bool answered; /* entries came back in this turn: who sent them asks again soon */
    bool again; /* the journal wants another turn */
    bool ticking; /* a TICK is under way */
    bool draining, drain_late;
    struct timer drain_timer;

    size_t body_max, bulk_max, output_limit; /* settings, as of this turn */
};

/* The turn's view: it holds every group that was delivered. Good until the end of the call that
 * asked. NULL: no memory. */
struct view *loop_view(struct loop *l);

/* For a client's question: it holds every group that anybody was told of. Another loop may have
 * told somebody since the turn's view was opened; with a single loop that cannot be. */
struct view *loop_view_now(struct loop *l);

/* The tokens buffer, empty. */
struct buf *loop_reply(struct loop *l);

/* Submits through the journal and counts. False: a bound is reached; the entry stays the caller's.
 * */
bool loop_submit(struct loop *l, struct entry *e) MUST_CHECK;

/* Submits an entry of the broker's own (no connection, outcome only looked at by done). False: no
 * memory, or a bound. */
bool loop_submit_command(struct loop *l, const struct command *cmd,
                         void (*done)(struct journal_client *owner, struct entry *e));

/* Buffers that move from one connection to the next. */
void loop_take_buf(struct loop *l, struct buf *b, size_t cap);
void loop_give_buf(struct loop *l, struct buf *b);

static inline struct loop *loop_of(struct journal_client *owner)
{
    return (struct loop *)owner;
}

#endif
