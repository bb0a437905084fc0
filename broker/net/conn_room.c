/* conn_room.c: the list of those that wait for memory, and the end of those that keep it (conn_room.h). */
#include "broker/net/conn_room.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "broker/base/heap.h"

#define ROOM_TRY_MS 20
#define GO_ON_MANY 64 /* at once, where little is held */
#define WORKERS_AT_ONCE 4 /* the others would find that these have begun, and wait again */
#define GO_ON_LANES 4 /* at once, over the high water */
#define LOOK_MS 250
#define STUCK_LOOKS 8 /* so that it did not go on for two seconds ... */
#define DRIP_BYTES ((size_t)KIB(4)) /* a request that grows by less from look to look ... */
#define DRIP_LOOKS 40 /* ... for ten seconds is given up */
#define STUCK_LOOKS_LANE 2 /* ... or half a second, where it has a lane that others wait for */

static void room_arm(struct loop *l)
{
    /* Without memory for the timer, the next turn that finds room does it, or the sweep. */
    if (!timer_is_set(&l->room_timer) &&
        timer_set(&l->timers, &l->room_timer, timers_now() + ROOM_TRY_MS) != ST_OK)
        return;
}

void conn_await_room(struct conn *c, unsigned stop)
{
    struct loop *l = c->loop;
    c->stops |= stop;
    if (c->awaits)
        return;
    c->awaits = true;
    c->next_awaiting = NULL;
    c->prev_awaiting = l->awaiting_last;
    *(l->awaiting_last ? &l->awaiting_last->next_awaiting : &l->awaiting) = c;
    l->awaiting_last = c;
    room_arm(l);
}

static void room_remove(struct conn *c)
{
    struct loop *l = c->loop;
    if (!c->awaits)
        return;
    *(c->prev_awaiting ? &c->prev_awaiting->next_awaiting : &l->awaiting) = c->next_awaiting;
    *(c->next_awaiting ? &c->next_awaiting->prev_awaiting : &l->awaiting_last) = c->prev_awaiting;
    c->awaits = false;
    c->stops &= ~(unsigned)(STOP_MEMORY | STOP_SHORT);
}

void conn_queue_add(struct conn_queue *q, struct conn *c)
{
    c->next_sliced = NULL;
    *(q->first ? &q->last->next_sliced : &q->first) = c;
    q->last = c;
}

void conn_queue_remove(struct conn_queue *q, struct conn *c)
{
    struct conn *before = NULL;
    for (struct conn *at = q->first; at != c; at = at->next_sliced)
        before = at;
    *(before ? &before->next_sliced : &q->first) = c->next_sliced;
    if (q->last == c)
        q->last = before;
}

void conn_await_work(struct conn *c)
{
    if (c->stops & (STOP_SLICE | STOP_WORK | STOP_TURN))
        return; /* after its slice, or its turn, it tries again */
    c->stops |= STOP_WORK;
    conn_queue_add(&c->loop->workers, c);
    room_arm(c->loop);
}

static void room_leave_workers(struct conn *c)
{
    if (c->stops & STOP_WORK)
        conn_queue_remove(&c->loop->workers, c);
    c->stops &= ~(unsigned)STOP_WORK;
}

void conns_begin_work(struct loop *l)
{
    for (uint32_t i = 0; i < WORKERS_AT_ONCE && l->workers.first && !account_has_work(&l->shared->account); i++) {
        struct conn *c = l->workers.first;
        room_leave_workers(c);
        conn_touch(c);
    }
}

bool conn_takes_lane(struct conn *c, size_t bytes)
{
    enum account_lane lane = (enum account_lane)c->lane;
    bool taken = account_take_lane(&c->loop->shared->account, &lane, bytes);
    c->lane = (uint8_t)lane;
    return taken;
}

void conn_give_lane(struct conn *c)
{
    account_give_lane(&c->loop->shared->account, (enum account_lane)c->lane);
    c->lane = LANE_NONE;
}

bool conn_is_read(const struct conn *c)
{
    int unsent = 0;
    /* What is sent and not acknowledged yet does not count: an acknowledgement may take 40 ms. */
    return !conn_unsent(c) && (ioctl(c->fd, SIOCOUTQNSD, &unsent) != 0 || unsent == 0);
}

bool conn_takes_reply_lane(struct conn *c)
{
    if (!c->reply_lane)
        c->reply_lane = account_take_reply_lane(&c->loop->shared->account);
    return c->reply_lane;
}

void conn_give_reply_lane(struct conn *c)
{
    if (c->reply_lane)
        account_give_reply_lane(&c->loop->shared->account);
    c->reply_lane = false;
}

void conn_leave_room(struct conn *c)
{
    room_remove(c);
    room_leave_workers(c);
    conn_give_lane(c);
    conn_give_reply_lane(c);
}

static void room_try_again(struct conn *c)
{
    room_remove(c);
    conn_touch(c);
}

/* Does it wait to read on in an unfinished request? */
static bool room_is_unfinished(const struct conn *c)
{
    return (c->stops & STOP_SHORT) && !c->stalled;
}

/* The one whose unfinished request is smallest, of those that need a small lane, or the large one. NULL: none waits. */
static struct conn *room_least(const struct loop *l, bool small)
{
    struct conn *least = NULL;
    for (struct conn *c = l->awaiting; c; c = c->next_awaiting) {
        if (room_is_unfinished(c) && (c->request_bytes < LANE_SMALL_BYTES) == small &&
            (!least || c->request_bytes < least->request_bytes))
            least = c;
    }
    return least;
}

/* The oldest that waits for a reply lane, and whose client has read what it was sent. */
static struct conn *room_oldest_command(const struct loop *l)
{
    struct conn *c = l->awaiting;
    while (c && !((c->stops & STOP_MEMORY) && c->wants_lane && conn_is_read(c)))
        c = c->next_awaiting;
    return c;
}

/* Those that wait only because their clients had not read what they were sent, and have read it now. */
static void room_try_readers(struct loop *l)
{
    for (struct conn *c = l->awaiting, *next; c; c = next) {
        next = c->next_awaiting;
        if ((c->stops & STOP_MEMORY) && !c->wants_lane && conn_is_read(c))
            room_try_again(c);
    }
}

/* Over the high water only a free lane helps. Small requests go first, since large ones may be no more than an attempt
 * to keep them waiting. */
static void room_use_lanes(struct loop *l)
{
    const struct account *a = &l->shared->account;
    struct conn *c;
    for (uint32_t i = atomic_load(&a->small), n = 0; i < LANES_SMALL && n < GO_ON_LANES; i++, n++) {
        if ((c = room_least(l, true)))
            room_try_again(c);
    }
    if (atomic_load(&a->large) == 0 && (c = room_least(l, false)))
        room_try_again(c);
    if (account_has_reply_lane(a) && (c = room_oldest_command(l)))
        room_try_again(c);
}

void conns_go_on(struct loop *l)
{
    const struct account *a = &l->shared->account;
    if (account_has_room(a)) {
        for (uint32_t i = 0; i < GO_ON_MANY && l->awaiting; i++)
            room_try_again(l->awaiting);
    } else {
        room_try_readers(l);
        /* Between the marks, too: each that goes on may bring the account over the high water again. */
        room_use_lanes(l);
        if (l->awaiting && !account_is_over(a) && !room_is_unfinished(l->awaiting))
            room_try_again(l->awaiting);
    }
    conns_begin_work(l);
    if (l->awaiting || l->workers.first)
        room_arm(l);
}

/* Is it its turn to read or to send, and does it hold what others wait for? */
static bool room_keeps_others_waiting(const struct conn *c)
{
    bool may_send = (c->in.len || (c->needs & CONN_QUEUES)) && !c->stalled && !c->awaits;
    bool its_turn = conn_unsent(c) || may_send;
    return its_turn && (c->lane != LANE_NONE || c->reply_lane || conn_holds_much(c));
}

/* Does it send the rest of its request so slowly that it may as well not? A byte now and then is not going on. */
static bool room_drips(struct conn *c)
{
    size_t had = c->request_had, has = c->in.len - c->in_at;
    c->request_had = has;
    return !conn_is_doomed(c) && !conn_unsent(c) && has && has >= had && has - had < DRIP_BYTES && room_keeps_others_waiting(c);
}

static void room_look(struct conn *c)
{
    bool stuck = !c->moved && !conn_is_doomed(c) && room_keeps_others_waiting(c);
    bool has_lane = c->lane != LANE_NONE || c->reply_lane;
    c->stuck = stuck ? (uint8_t)(c->stuck + 1) : 0;
    c->moved = false;
    c->slow = room_drips(c) ? (uint8_t)(c->slow + 1) : 0;
    if (c->stuck <= (has_lane ? STUCK_LOOKS_LANE : STUCK_LOOKS) && c->slow <= DRIP_LOOKS)
        return;
    counters_add(&c->loop->counters, COUNTER_STUCK_CUT, 1);
    conn_cut(c, "closing a connection: it neither reads nor sends, and connections hold too much memory");
}

void conn_room_timer_fires(struct timer *t, void *arg)
{
    struct loop *l = arg;
    int64_t now_ms = timers_now();
    (void)t;
    if (account_is_over(&l->shared->account)) {
        bufs_fini(&l->bufs);
        entry_pool_trim(&l->entries, false);
        heap_trim();
    }
    if (now_ms >= l->look_ms) {
        l->look_ms = now_ms + LOOK_MS;
        for (uint32_t i = 0; i < l->slots.size && account_is_over(&l->shared->account); i++) {
            if (l->slots.slot[i].conn)
                room_look(l->slots.slot[i].conn);
        }
    }
    conns_go_on(l);
}
