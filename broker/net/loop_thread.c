/*
 * loop_thread.c: the thread, its turns, and what other threads may ask of it.
 *
 *   wait for sockets ──► callbacks read, parse, answer, submit
 *        ▲                     │
 *        │                     ▼          a round, until nothing is left to do (at most ROUNDS_MAX)
 *        │     settle: flush what is answered ─► journal_turn ─► deliver: news, entries, orders
 *        │        ▲                                                     │
 *        │        └───────────────── touched, woken, more to push ◄─────┘
 *        └── mailbox_sleep
 *
 * Answers to reads are flushed before journal_turn, which may wait for a disk.
 *
 * A loop that is alone answers a group of its own in one round and lets the store take it in at the next one
 * (TURN_ANSWERS_FIRST), so that its clients work meanwhile. journal_view opens no view before that.
 *
 * Lost wake-ups: thread_deliver hands out the news it took before the entries it took with it, and no
 * view outlives it. A query that finds nothing parks in the same callback that opened its view, so
 * news it has not seen is still in the mailbox then.
 *
 * Why raw events and not bufferevents: one recv and one send a connection and turn, into pages
 * that all connections share, and no lock. ../README.md has figures.
 */
#include "broker/net/loop_thread.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/net/clients.h"
#include "broker/net/conn_in.h"
#include "broker/net/conn_room.h"
#include "broker/net/conn_settle.h"
#include "broker/net/conn_slice.h"
#include "broker/net/loop_idle.h"
#include "broker/net/conn_tls.h"

#define ROUNDS_MAX 8
#define SWEEP_S 5

/* ---- the journal's callbacks ---- */

static void thread_on_post(struct journal_client *client, struct entry_list *done)
{
    mailbox_post_done(&loop_of(client)->box, done);
}

static void thread_on_news(struct journal_client *client, const struct effects *fx)
{
    mailbox_post_news(&loop_of(client)->box, fx);
    if (fx->users_changed) /* for connections that wait for nothing, too */
        mailbox_order(&loop_of(client)->box, ORDER_TURN, 0);
}

static void thread_on_nudge(struct journal_client *client)
{
    mailbox_order(&loop_of(client)->box, ORDER_TURN, 0);
}

/* ---- letters ---- */

static void thread_open_sockets(struct loop *l)
{
    for (uint32_t i = 0; i < l->letters.n_fds; i++) {
        const struct letter_socket *s = &l->letters.fds[i];
        if (!l->draining && conn_open(l, s) == ST_OK)
            continue;
        close(s->fd);
        if (s->counted)
            peers_leave(&l->shared->peers, &s->from);
        atomic_fetch_sub(&l->shared->connections, 1);
        if (!l->draining)
            log_text(LOG_ERROR, "no memory for a new connection");
    }
    l->letters.n_fds = 0;
}

static void thread_kill_clients(struct loop *l)
{
    for (uint32_t i = 0; i < l->letters.n_kills; i++) {
        struct conn *c = clients_find(&l->slots, l->letters.kills[i]);
        if (c)
            conn_dismiss(c);
    }
}

/* Where more is due than one TICK does, the next one follows at once, in the loop's next turn: what clients have sent
 * meanwhile goes into the same commit group, or into one before it. */
static void thread_ticked(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    l->ticking = false;
    if (e->fate == ST_OK && e->out.retry_at_ms && journal_in_charge(l->env.journal))
        loop_tick(l);
    entry_free(e);
}

static void thread_drain_late(struct timer *t, void *arg)
{
    (void)t;
    struct loop *l = arg;
    l->drain_late = true;
}

static void thread_begin_drain(struct loop *l, int64_t timeout_ms)
{
    if (l->draining)
        return;
    l->draining = true;
    for (uint32_t i = 0; i < l->slots.size; i++) {
        struct conn *c = l->slots.slot[i].conn;
        if (!c)
            continue;
        conn_dismiss(c);
        if (c->state == CONN_LINGERING)
            conn_doom(c);
    }
    l->drain_timer.fire = thread_drain_late;
    l->drain_late = timer_set(&l->timers, &l->drain_timer, timers_now() + timeout_ms) != ST_OK;
}

static void thread_obey(struct loop *l)
{
    unsigned orders = l->letters.orders;
    if (orders & ORDER_TURN)
        l->again = true;
    if ((orders & ORDER_TICK) && !l->ticking && !l->draining) {
        struct command tick = {.info = command_info(CMD_TICK)};
        l->ticking = loop_submit_command(l, &tick, thread_ticked);
    }
    if (orders & ORDER_DRAIN)
        thread_begin_drain(l, l->letters.drain_ms);
}

static void thread_deliver(struct loop *l)
{
    struct letters *in = &l->letters;
    loop_close_view(l);
    mailbox_take(&l->box, in);
    l->env.loops->news(l, in->news);
    struct entry *e;
    uint32_t n = 0;
    while ((e = entry_pop(&in->done))) {
        l->lent -= e->lent;
        l->in_flight -= !e->lent;
        n += !e->lent;
        e->done(&l->client, e);
    }
    gather_came_back(&l->gather, n);
    thread_open_sockets(l);
    thread_kill_clients(l);
    thread_obey(l);
    letters_clear(in);
    l->env.loops->woken(l);
}

/* ---- turns ---- */

static void thread_refresh_settings(struct loop *l)
{
    const struct settings *c = l->env.settings;
    l->body_max = (size_t)settings_num(c, SET_max_message_bytes);
    l->bulk_max = l->body_max + (size_t)MESSAGE_OVERHEAD_MAX;
    if (l->bulk_max < (size_t)BATCH_BYTES_MAX)
        l->bulk_max = (size_t)BATCH_BYTES_MAX; /* a batch is one word, whatever a body may be */
    l->output_limit = (size_t)settings_num(c, SET_output_limit);
    size_t memory = (size_t)settings_num(c, SET_memory), least = l->bulk_max + (size_t)MESSAGE_OVERHEAD_MAX;
    l->request_max = memory / 3 > least ? memory / 3 : least;
    if (l->request_max > (size_t)REQUEST_BYTES_MAX)
        l->request_max = (size_t)REQUEST_BYTES_MAX;
    l->reply_most = memory / 32;
    loop_idle_arm(l);
}

static void thread_run_timers(struct loop *l)
{
    if (timers_next(&l->timers) == INT64_MAX)
        return;
    timers_run(&l->timers, timers_now(), l);
    l->env.loops->woken(l);
}

/* Lets those that have used up their slices go on, until the time for it is over. */
static void thread_run_slices(struct loop *l, struct conn_queue *q)
{
    const struct conn *last = q->last;
    l->turn_ns = 0;
    while (q->first && l->turn_ns < LOOP_SLICES_NS) {
        struct conn *c = q->first;
        conn_leave_slices(c);
        conn_touch(c);
        conns_settle(l);
        if (c == last)
            break;
    }
}

/* True: there is work left, do not wait. */
static bool thread_turn(struct loop *l)
{
    thread_refresh_settings(l);
    bool more = true;
    l->turn++;
    for (struct conn *c = conns_tls_next(l, true); c; c = conns_tls_next(l, false))
        conn_in_read(c);
    thread_run_slices(l, &l->sliced[0]);
    thread_run_slices(l, &l->sliced[1]);
    for (unsigned i = 0; i < ROUNDS_MAX && more; i++) {
        conns_settle(l);
        l->env.loops->woken(l);
        l->again = false;
        /* The last round leaves nothing to settle: no other follows before the loop may sleep. */
        bool answers_first = l->alone && i + 1 < ROUNDS_MAX;
        bool unsettled = journal_turn(l->env.journal, &l->client,
                                      answers_first ? TURN_ANSWERS_FIRST : TURN_NEWS_FIRST);
        thread_deliver(l);
        thread_run_timers(l);
        if (l->awaiting && account_has_room(&l->shared->account))
            conns_go_on(l);
        if (l->workers.first)
            conns_begin_work(l);
        more = l->env.loops->run(l) || l->touched || l->again || unsettled;
    }
    loop_close_view(l);
    conn_reap(l);
    return more || l->doomed || l->sliced[0].first || l->sliced[1].first || conns_tls_wait(l);
}

static bool thread_is_drained(struct loop *l)
{
    if (!l->draining)
        return false;
    for (uint32_t i = 0; l->drain_late && i < l->slots.size; i++) {
        if (l->slots.slot[i].conn)
            conn_doom(l->slots.slot[i].conn);
    }
    conn_reap(l);
    /* Entries are the journal's, or another thread's, until they are handed back; the loop must be there to take them. */
    return l->slots.n == 0 && l->in_flight == 0 && l->lent == 0;
}

static void thread_arm_timer(struct loop *l)
{
    int64_t due = timers_next(&l->timers);
    if (due == l->armed_ms || due == INT64_MAX)
        return;
    int64_t delay = due - timers_now();
    if (delay < 0)
        delay = 0;
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};
    if (event_add(l->timer_event, &tv) == 0)
        l->armed_ms = due;
}

static void thread_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    l->armed_ms = INT64_MAX; /* the turn that follows looks at the heap */
}

static void thread_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    mailbox_drain_event(&l->box);
}

/* Connections that were idle since the last sweep give back what they do not need. */
static void thread_on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    for (uint32_t i = 0; i < l->slots.size; i++) {
        struct conn *c = l->slots.slot[i].conn;
        if (!c)
            continue;
        if (!c->active)
            conn_trim(c);
        c->active = false;
    }
    conns_go_on(l);
    buf_reset(&l->reply, 0);
    entry_pool_trim(&l->entries, false);
}

static void *thread_run(void *arg)
{
    struct loop *l = arg;
    bool more = thread_turn(l);
    while (!thread_is_drained(l)) {
        thread_arm_timer(l);
        more = more || gather_linger(&l->gather, l->base, &l->in_flight, journal_gather_ns(l->env.journal));
        bool waits = !more && mailbox_sleep(&l->box, l->env.loops->wants_news(l));
        /* ONCE in both cases: without it libevent would come back only when no socket is ready. */
        if (event_base_loop(l->base, waits ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
            log_text(LOG_ERROR, "the event loop of an I/O thread failed; the broker stops");
            abort();
        }
        if (waits)
            mailbox_awake(&l->box);
        gather_acks(&l->gather, l->base, &l->in_flight, journal_gather_ns(l->env.journal));
        gather_more(&l->gather, l->base, &l->in_flight, journal_gather_ns(l->env.journal));
        more = thread_turn(l);
    }
    return NULL;
}

/* ---- birth and death ---- */

static enum status thread_make_events(struct loop *l)
{
    const struct timeval sweep = {.tv_sec = SWEEP_S};
    l->base = event_base_new();
    if (!l->base)
        return ST_NOMEM;
    l->wake_event = event_new(l->base, l->box.event_fd, EV_READ | EV_PERSIST, thread_on_wake, l);
    l->timer_event = evtimer_new(l->base, thread_on_timer, l);
    l->sweep_event = event_new(l->base, -1, EV_PERSIST, thread_on_sweep, l);
    if (!l->wake_event || !l->timer_event || !l->sweep_event)
        return ST_NOMEM;
    if (event_add(l->wake_event, NULL) != 0 || event_add(l->sweep_event, &sweep) != 0)
        return ST_IO;
    return ST_OK;
}

static void thread_free_events(struct loop *l)
{
    struct event *events[] = {l->wake_event, l->timer_event, l->sweep_event};
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i])
            event_free(events[i]);
    }
    if (l->base)
        event_base_free(l->base);
}

static void thread_free_parts(struct loop *l)
{
    thread_free_events(l);
    if (l->serve)
        l->env.loops->close(l);
    timers_fini(&l->timers);
    command_space_free(&l->space);
    buf_free(&l->reply);
    bufs_fini(&l->bufs);
    rpc_reader_free(l->rpc);
    free(l->scratch);
    letters_fini(&l->letters);
    mailbox_fini(&l->box);
    entry_pool_trim(&l->entries, true);
    slots_fini(&l->slots);
    free(l);
}

static struct loop *thread_new(const struct net_env *env, struct net_shared *shared, bool alone)
{
    struct loop *l = aligned_alloc(_Alignof(struct loop), sizeof *l);
    if (!l)
        return NULL;
    memset(l, 0, sizeof *l);
    if (mailbox_init(&l->box) != ST_OK) {
        free(l);
        return NULL;
    }
    l->client = (struct journal_client){.post = thread_on_post, .news = thread_on_news, .nudge = thread_on_nudge};
    l->env = *env;
    l->shared = shared;
    l->alone = alone;
    l->armed_ms = INT64_MAX;
    slots_init(&l->slots);
    timers_init(&l->timers);
    l->room_timer.fire = conn_room_timer_fires;
    l->shake_timer.fire = conns_shake_timer_fires;
    command_space_init(&l->space);
    buf_init(&l->reply, (size_t)REPLY_BYTES_MAX);
    l->scratch = malloc(READ_BYTES);
    l->serve = env->loops->open(l, env->arg);
    bool made = letters_init(&l->letters) == ST_OK && l->scratch && l->serve && thread_make_events(l) == ST_OK;
    if (made)
        return l;
    thread_free_parts(l);
    return NULL;
}

struct loop *loop_start(const struct net_env *env, struct net_shared *shared, bool alone)
{
    struct loop *l = thread_new(env, shared, alone);
    if (!l) {
        errno = ENOMEM;
        return NULL;
    }
    thread_refresh_settings(l);
    journal_register(env->journal, &l->client);
    int failed = pthread_create(&l->thread, NULL, thread_run, l);
    if (failed) {
        thread_free_parts(l);
        errno = failed;
        return NULL;
    }
    return l;
}

void loop_join(struct loop *l)
{
    int failed = pthread_join(l->thread, NULL);
    assert(!failed);
}

void loop_free(struct loop *l)
{
    /* A socket may have come while the thread ended; nobody has looked at it. */
    for (uint32_t i = 0; i < l->box.in.n_fds; i++)
        atomic_fetch_sub(&l->shared->connections, 1);
    thread_free_parts(l);
}

/* ---- asked by other threads ---- */

bool loop_adopt(struct loop *l, const struct letter_socket *socket)
{
    return mailbox_post_fd(&l->box, *socket);
}

void loop_drain(struct loop *l, int64_t timeout_ms)
{
    mailbox_order(&l->box, ORDER_DRAIN, timeout_ms);
}

void loop_tick(struct loop *l)
{
    mailbox_order(&l->box, ORDER_TICK, 0);
}

void loop_nudge(struct loop *l)
{
    mailbox_order(&l->box, ORDER_TURN, 0);
}

const struct counters *loop_counters(const struct loop *l)
{
    return &l->counters;
}

bool loop_list_clients(struct loop *l, const char *user, uint32_t *slot, uint32_t *most, struct buf *out)
{
    return clients_list(&l->slots, user, slot, most, out);
}

bool loop_kill_client(struct loop *l, uint64_t id)
{
    return clients_have(&l->slots, id) && mailbox_post_kill(&l->box, id);
}
