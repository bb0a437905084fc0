/*
 * loop.h: one I/O thread, as seen by those who run on it: connections, and whoever serves them.
 *
 *   loop_thread.c   the thread and its turns: calls everything below
 *   conn*.c         connections
 *   loop.c          this: the view of the turn, the reply buffer, the way into the journal
 *
 * Everything in a loop belongs to its thread. From outside come only letters (journal/mailbox.h) and the
 * questions of loop_thread.h.
 */
#ifndef HALFMQ_BROKER_LOOP_H
#define HALFMQ_BROKER_LOOP_H

#include "broker/base/bufs.h"
#include "broker/base/counters.h"
#include "broker/base/timers.h"
#include "broker/journal/mailbox.h"
#include "broker/net/account.h"
#include "broker/net/gather.h"
#include "broker/net/ops.h"
#include "broker/net/peers.h"
#include "broker/net/slots.h"

#define REPLY_BYTES_KEEP ((size_t)KIB(256))
#define LOOP_SLICES_NS INT64_C(5000000) /* what commands that may take long may take in a turn (conn_slice.h) */

struct event_base;
struct event;
struct rpc_reader;

/* Counted over all loops. */
struct net_shared {
    _Atomic uint64_t next_client_id;
    _Atomic uint32_t connections;
    struct account account;
    struct peers peers;
    atomic_bool draining; /* no loop takes another request, even one that it has read */
};

/* Connections that wait for the same, oldest first; linked by conn->next_sliced, so each is in one of them at most. */
struct conn_queue {
    struct conn *first, *last;
};

struct loop {
    struct journal_client client; /* first: the journal's callbacks get this address */
    struct net_env env;
    void *serve; /* what loop_ops.open returned */
    struct counters counters;
    struct timers timers;
    struct entry_pool entries;
    size_t body_max; /* a setting, as of this turn; as the three below */
    size_t reply_most; /* for view_limit_replies */
    uint64_t turn; /* how many there were */

    /* ---- of broker/net alone ---- */
    size_t bulk_max, request_max, output_limit;
    struct net_shared *shared;
    bool alone; /* no other loop answers clients */
    pthread_t thread;
    struct event_base *base;
    struct event *wake_event, *timer_event, *sweep_event;
    int64_t armed_ms; /* what timer_event is set for; INT64_MAX: not set */
    struct mailbox box;
    struct letters letters;

    struct command_space space; /* parsing never nests, so one is enough for all connections */
    struct buf reply; /* tokens of the answer being made */
    struct bufs bufs;
    struct rpc_reader *rpc; /* goes from connection to connection; NULL: one that has half a frame keeps it */
    uint8_t *scratch; /* READ_BYTES: where sockets are read */
    struct view *view; /* of this turn; see loop_view */

    struct slots slots;
    struct conn *touched, *touched_last; /* to be settled in this turn */
    struct conn *doomed; /* to be freed at the end of it */
    struct conn_queue sliced[2]; /* those that used up their slice (conn_slice.h); [1]: with long commands */
    int64_t visit_ns, turn_ns; /* spent on this connection's input, and on all in this turn */
    uint32_t visit_n; /* commands that were timed */
    struct conn_queue hellos, unread; /* TLS: those that wait for room to begin, newest first; those to be read in the next turn */
    struct { struct conn *first, *last; } shakes; /* unfinished handshakes, oldest first (conn_tls.h) */
    uint32_t n_shakes, n_unread, unread_left; /* unread_left: which have not had their turn */
    int64_t shakes_ns; /* spent on them in this turn */
    struct conn *reading_tls; /* it has its turn: it does not wait for another */
    struct timer shake_timer; /* set while hellos wait for a handshake to be given up */
    struct conn_queue workers; /* those that wait until less work is in the journal */
    struct conn *awaiting, *awaiting_last; /* those that wait for memory (conn_room.h), oldest first */
    struct timer room_timer; /* set while there are any */
    int64_t look_ms; /* when to look next who keeps them waiting */

    uint32_t in_flight; /* entries that the journal has */
    uint32_t lent;      /* entries that other threads have */
    struct gather_state gather;
    bool again; /* the journal wants another turn */
    bool ticking; /* a TICK is under way */
    bool draining, drain_late;
    struct timer drain_timer;
    struct timer idle_timer; /* set while there is an idle_timeout (loop_idle.h) */
};

/* The turn's view: it holds every group that was delivered. Good until the end of the call that asked. NULL: no
 * memory. */
struct view *loop_view(struct loop *l);

/* A view for a client's request: it holds every group that any client got a reply for. With several loops that may be
 * more than the turn's view holds, so a new one is opened then. NULL: no memory. */
struct view *loop_view_now(struct loop *l);

/* Ends the turn's view: the next one to ask gets a newer one. */
void loop_close_view(struct loop *l);

/* The buffer for the tokens of a reply, empty. There is one for all: its contents are good until the next call. */
struct buf *loop_reply(struct loop *l);

/* Submits an entry to the journal. False: the journal is full; the entry stays the caller's. */
bool loop_submit(struct loop *l, struct entry *e) MUST_CHECK;

/* Submits a command of the broker's own. done gets the entry back and must free it. False: no memory, or the journal is
 * full. */
bool loop_submit_command(struct loop *l, const struct command *cmd,
                         void (*done)(struct journal_client *owner, struct entry *e));

/* Counts an entry that another thread than the journal's gets, which hands it back by the client's post, as the journal does. */
static inline void loop_lend(struct loop *l, struct entry *e)
{
    e->lent = true;
    l->lent++;
}

/* True where commands have taken as much of this turn as they may: what takes long waits for a later one. */
static inline bool loop_is_busy(const struct loop *l)
{
    return l->turn_ns >= LOOP_SLICES_NS;
}

/* True from net_drain on, also while the loop has not heard of it yet. */
static inline bool loop_is_ending(const struct loop *l)
{
    return atomic_load_explicit(&l->shared->draining, memory_order_relaxed);
}

static inline struct loop *loop_of(struct journal_client *owner)
{
    return (struct loop *)owner;
}

#endif
