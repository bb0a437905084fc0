/* conn_room.c: the list of those that wait for memory, and the end of those that keep it (conn_room.h). */
#include "broker/net/conn_room.h"

#define ROOM_TRY_MS 20
#define GO_ON_MANY 64 /* at once, where little is held */
#define STUCK_SWEEPS 2

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

void conn_leave_room(struct conn *c)
{
    room_remove(c);
    conn_give_lane(c);
}

void conns_go_on(struct loop *l)
{
    const struct account *a = &l->shared->account;
    /* Over the high water only lanes help; below it, each that goes on may take it over again. */
    uint32_t most = account_has_room(a) ? GO_ON_MANY : account_is_over(a) ? LANES_SMALL : 1;
    for (uint32_t i = 0; i < most && l->awaiting; i++) {
        struct conn *c = l->awaiting;
        room_remove(c);
        conn_touch(c);
    }
    if (l->awaiting)
        room_arm(l);
}

void conn_room_timer_fires(struct timer *t, void *arg)
{
    (void)t;
    conns_go_on(arg);
}

void conn_look_if_stuck(struct conn *c)
{
    bool its_turn = conn_unsent(c) || (c->in.len && !c->stalled && !c->awaits);
    bool stuck = conn_memory_is_short(c) && its_turn && !c->moved && !conn_is_doomed(c);
    c->stuck = stuck ? (uint8_t)(c->stuck + 1) : 0;
    c->moved = false;
    if (c->stuck <= STUCK_SWEEPS)
        return;
    counters_add(&c->loop->counters, COUNTER_STUCK_CUT, 1);
    conn_cut(c, "closing a connection: it neither reads nor sends, and connections hold too much memory");
}
