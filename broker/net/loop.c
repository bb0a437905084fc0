/*
 * loop.c: the thread, its turns, and what other threads may ask of it.
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
 * Lost wake-ups: `deliver` hands out the news it took before the entries it took with it, and no
 * view outlives it. A query that finds nothing parks in the same callback that opened its view, so
 * news it has not seen is still in the mailbox then.
 *
 * Why raw events and not bufferevents: one recv and one send a connection and turn, into pages
 * that all connections share, and no lock. README.md has figures.
 */
#include "broker/net/loop.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/serve/dispatch.h"
#include "broker/base/log.h"
#include "broker/net/loop_inner.h"

#define GATHER_QUIET_NS INT64_C(40000)
#define LINGER_NS INT64_C(60000)
#define LINGER_GROUP 8 /* commands a group: with fewer, clients are few, and a processor is worth more */
#define MISSES_MAX 7
#define ROUNDS_MAX 8
#define SWEEP_S 5

/* ---- the journal's callbacks ---- */

static void post(struct journal_client *client, struct entry_list *done)
{
    mailbox_post_done(&loop_of(client)->box, done);
}

static void news(struct journal_client *client, const struct effects *fx)
{
    mailbox_post_news(&loop_of(client)->box, fx);
}

static void nudge(struct journal_client *client)
{
    mailbox_order(&loop_of(client)->box, ORDER_TURN, 0);
}

/* ---- what the loop's files share ---- */

static void close_view(struct loop *l)
{
    if (l->view)
        view_close(l->view);
    l->view = NULL;
}

struct view *loop_view(struct loop *l)
{
    if (!l->view)
        l->view = journal_view(l->server->journal, &l->client);
    return l->view;
}

struct view *loop_view_now(struct loop *l)
{
    if (l->server->n_loops > 1)
        close_view(l);
    return loop_view(l);
}

struct buf *loop_reply(struct loop *l)
{
    buf_reset(&l->reply, REPLY_BYTES_KEEP);
    return &l->reply;
}

bool loop_submit(struct loop *l, struct entry *e)
{
    if (!journal_submit(l->server->journal, &l->client, e))
        return false;
    l->in_flight++;
    /* Submitted behind this round's journal_turn, it would wait for the next wake. */
    l->again = true;
    return true;
}

bool loop_submit_command(struct loop *l, const struct command *cmd,
                         void (*done)(struct journal_client *owner, struct entry *e))
{
    struct entry *e = entry_new(&l->entries, cmd);
    if (!e)
        return false;
    e->owner = &l->client;
    e->done = done;
    if (loop_submit(l, e))
        return true;
    entry_free(e);
    return false;
}

void loop_take_buf(struct loop *l, struct buf *b, size_t cap)
{
    if (b->data)
        return;
    if (l->n_spare)
        *b = l->spare[--l->n_spare];
    b->cap = cap;
}

void loop_give_buf(struct loop *l, struct buf *b)
{
    if (!b->data)
        return;
    if (l->n_spare < SPARE_BUFS && b->size <= SPARE_BYTES_KEEP) {
        buf_reset(b, SPARE_BYTES_KEEP);
        l->spare[l->n_spare++] = *b;
        *b = (struct buf){.cap = b->cap};
        return;
    }
    buf_free(b);
}

/* ---- letters ---- */

static void open_sockets(struct loop *l)
{
    for (uint32_t i = 0; i < l->letters.n_fds; i++) {
        int fd = l->letters.fds[i];
        if (!l->draining && conn_open(l, fd) == ST_OK)
            continue;
        close(fd);
        atomic_fetch_sub(&l->server->connections, 1);
        if (!l->draining)
            log_text(LOG_ERROR, "no memory for a new connection");
    }
    l->letters.n_fds = 0;
}

static struct conn *conn_by_id(struct loop *l, uint64_t id)
{
    for (uint32_t i = 0; i < l->n_slots; i++) {
        if (l->slots[i].conn && l->slots[i].conn->id == id)
            return l->slots[i].conn;
    }
    return NULL;
}

static void kill_clients(struct loop *l)
{
    for (uint32_t i = 0; i < l->letters.n_kills; i++) {
        struct conn *c = conn_by_id(l, l->letters.kills[i]);
        if (!c)
            continue;
        dispatch_end_waits(c);
        conn_shut(c);
    }
}

static void ticked(struct journal_client *owner, struct entry *e)
{
    loop_of(owner)->ticking = false;
    entry_free(e);
}

static void submit_tick(struct loop *l)
{
    struct command cmd = {.info = command_info(CMD_TICK)};
    if (!l->ticking && !l->draining)
        l->ticking = loop_submit_command(l, &cmd, ticked);
}

static void drain_late(struct timer *t, void *arg)
{
    (void)t;
    struct loop *l = arg;
    l->drain_late = true;
}

static void begin_drain(struct loop *l, int64_t timeout_ms)
{
    if (l->draining)
        return;
    l->draining = true;
    for (uint32_t i = 0; i < l->n_slots; i++) {
        struct conn *c = l->slots[i].conn;
        if (!c)
            continue;
        dispatch_end_waits(c);
        conn_shut(c);
        if (c->lingering)
            conn_doom(c);
    }
    l->drain_timer.fire = drain_late;
    l->drain_late = timer_set(&l->timers, &l->drain_timer, timers_now() + timeout_ms) != ST_OK;
}

static void obey(struct loop *l)
{
    unsigned orders = l->letters.orders;
    if (orders & ORDER_TURN)
        l->again = true;
    if (orders & ORDER_TICK)
        submit_tick(l);
    if (orders & ORDER_DRAIN)
        begin_drain(l, l->letters.drain_ms);
}

static void run_woken(struct loop *l)
{
    struct waiter *w;
    while ((w = waiters_next(&l->waiters)))
        dispatch_wake(l, w);
}

static void deliver(struct loop *l)
{
    struct letters *in = &l->letters;
    close_view(l);
    mailbox_take(&l->box, in);
    waiters_news(&l->waiters, in->news);
    pubsub_news(l, in->news);
    struct entry *e;
    uint32_t n = 0;
    while ((e = entry_pop(&in->done))) {
        l->in_flight--;
        n++;
        e->done(&l->client, e);
    }
    l->answered = l->answered || n > 0;
    if (n > l->gather_target)
        l->gather_target = n;
    else if (n)
        l->gather_target -= (l->gather_target - n + 7) / 8;
    open_sockets(l);
    kill_clients(l);
    obey(l);
    letters_clear(in);
    run_woken(l);
}

/* ---- turns ---- */

static void refresh_settings(struct loop *l)
{
    const struct settings *c = l->server->settings;
    l->body_max = (size_t)settings_num(c, SET_max_message_bytes);
    l->bulk_max = l->body_max + (size_t)MESSAGE_OVERHEAD_MAX;
    if (l->bulk_max < (size_t)BATCH_BYTES_MAX)
        l->bulk_max = (size_t)BATCH_BYTES_MAX; /* a batch is one word, whatever a body may be */
    l->output_limit = (size_t)settings_num(c, SET_output_limit);
}

/* Those that are touched while this runs wait for the next round. */
static void settle(struct loop *l)
{
    struct conn *c = l->touched;
    l->touched = l->touched_last = NULL;
    for (struct conn *next; c; c = next) {
        next = c->next_touched;
        conn_settle(c);
    }
}

static void run_timers(struct loop *l)
{
    if (timers_next(&l->timers) == INT64_MAX)
        return;
    timers_run(&l->timers, timers_now(), l);
    run_woken(l);
}

/* True: there is work left, do not wait. */
static bool turn(struct loop *l)
{
    bool more = true;
    refresh_settings(l);
    for (unsigned i = 0; i < ROUNDS_MAX && more; i++) {
        settle(l);
        l->again = false;
        /* The last round leaves nothing to settle: no other follows before the loop may sleep. */
        bool answers_first = l->alone && i + 1 < ROUNDS_MAX;
        bool unsettled = journal_turn(l->server->journal, &l->client,
                                      answers_first ? TURN_ANSWERS_FIRST : TURN_NEWS_FIRST);
        deliver(l);
        run_timers(l);
        more = pubsub_run(l) || l->touched || l->again || unsettled;
    }
    close_view(l);
    conn_reap(l);
    return more;
}

static bool is_drained(struct loop *l)
{
    if (!l->draining)
        return false;
    for (uint32_t i = 0; l->drain_late && i < l->n_slots; i++) {
        if (l->slots[i].conn)
            conn_doom(l->slots[i].conn);
    }
    conn_reap(l);
    /* Entries are the journal's until it hands them back; the loop must be there to take them. */
    return l->n_conns == 0 && l->in_flight == 0;
}

static void arm_timer(struct loop *l)
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

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    l->armed_ms = INT64_MAX; /* the turn that follows looks at the heap */
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    mailbox_drain_event(&l->box);
}

/* Connections that were idle since the last sweep give back what they do not need. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd, (void)what;
    for (uint32_t i = 0; i < l->n_slots; i++) {
        struct conn *c = l->slots[i].conn;
        if (!c)
            continue;
        if (!c->active)
            conn_trim(c);
        c->active = false;
    }
    buf_reset(&l->reply, 0);
    entry_pool_trim(&l->entries, false);
}

static bool may_try(struct patience *p)
{
    if (p->skip == 0)
        return true;
    p->skip--;
    return false;
}

static void learn(struct patience *p, bool hit)
{
    p->misses = hit ? 0 : p->misses + (p->misses < MISSES_MAX);
    p->skip = hit ? 0 : 1u << p->misses;
}

/* Looks at the sockets until enough has come, nothing more comes, or the time is up. True: enough. */
static bool gather_for(struct loop *l, int64_t most_ns)
{
    int64_t begin = clock_mono_ns(), last = begin, now = begin;
    uint32_t had = l->in_flight, enough = l->gather_target - l->gather_target / 8;
    while (l->in_flight < enough && now - begin < most_ns && now - last < GATHER_QUIET_NS) {
        if (event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return false; /* the next call says so */
        now = clock_mono_ns();
        if (l->in_flight != had)
            last = now;
        had = l->in_flight;
    }
    return l->in_flight >= enough;
}

/*
 * Who was answered asks again in a moment, but not all in the same one: the first few to come would have a
 * sync of their own, and all others wait for it. So where the last groups were larger the loop looks at its
 * sockets a little longer. A lone client is never waited with; and where waiting was in vain, as with many
 * connections that come one by one for longer than a sync takes, it is tried ever more seldom.
 */
static void gather(struct loop *l)
{
    int64_t most_ns = journal_gather_ns(l->server->journal);
    if (l->in_flight == 0 || l->in_flight >= l->gather_target || most_ns == 0)
        return;
    if (may_try(&l->gather))
        learn(&l->gather, gather_for(l, most_ns));
}

/*
 * The whole of a group was answered, and its clients are about to ask again. To fall asleep and be woken takes
 * longer than that mostly does, all the more where a processor without work is taken away by a hypervisor. True:
 * commands have come.
 */
static bool linger(struct loop *l)
{
    bool worth = l->answered && l->in_flight == 0 && l->gather_target >= LINGER_GROUP;
    l->answered = false;
    if (!worth || journal_gather_ns(l->server->journal) == 0 || !may_try(&l->linger))
        return false;
    int64_t end = clock_mono_ns() + LINGER_NS;
    while (l->in_flight == 0 && clock_mono_ns() < end) {
        if (event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return false; /* the next call says so */
    }
    learn(&l->linger, l->in_flight > 0);
    return l->in_flight > 0;
}

static void *run(void *arg)
{
    struct loop *l = arg;
    bool more = turn(l);
    while (!is_drained(l)) {
        arm_timer(l);
        bool wants_news = l->waiters.n > 0 || l->pubsub.n_channels > 0;
        bool waits = !more && !linger(l) && mailbox_sleep(&l->box, wants_news);
        /* ONCE in both cases: without it libevent would come back only when no socket is ready. */
        if (event_base_loop(l->base, waits ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
            log_text(LOG_ERROR, "the event loop failed; this thread serves nobody any more");
            abort();
        }
        if (waits)
            mailbox_awake(&l->box);
        gather(l);
        more = turn(l);
    }
    return NULL;
}

/* ---- birth and death ---- */

static enum status make_events(struct loop *l)
{
    const struct timeval sweep = {.tv_sec = SWEEP_S};
    l->base = event_base_new();
    if (!l->base)
        return ST_NOMEM;
    l->wake_event = event_new(l->base, l->box.event_fd, EV_READ | EV_PERSIST, on_wake, l);
    l->timer_event = evtimer_new(l->base, on_timer, l);
    l->sweep_event = event_new(l->base, -1, EV_PERSIST, on_sweep, l);
    if (!l->wake_event || !l->timer_event || !l->sweep_event)
        return ST_NOMEM;
    if (event_add(l->wake_event, NULL) != 0 || event_add(l->sweep_event, &sweep) != 0)
        return ST_IO;
    return ST_OK;
}

static void free_events(struct loop *l)
{
    struct event *events[] = {l->wake_event, l->timer_event, l->sweep_event};
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i])
            event_free(events[i]);
    }
    if (l->base)
        event_base_free(l->base);
}

static void free_parts(struct loop *l)
{
    free_events(l);
    waiters_fini(&l->waiters);
    timers_fini(&l->timers);
    command_space_free(&l->space);
    buf_free(&l->reply);
    for (uint32_t i = 0; i < l->n_spare; i++)
        buf_free(&l->spare[i]);
    free(l->scratch);
    free(l->slots);
    letters_fini(&l->letters);
    mailbox_fini(&l->box);
    entry_pool_trim(&l->entries, true);
    pthread_mutex_destroy(&l->list_lock);
    free(l);
}

static struct loop *loop_new(struct server *s, uint32_t number)
{
    struct loop *l = aligned_alloc(_Alignof(struct loop), sizeof *l);
    if (!l)
        return NULL;
    memset(l, 0, sizeof *l);
    if (mailbox_init(&l->box) != ST_OK) {
        free(l);
        return NULL;
    }
    l->client = (struct journal_client){.post = post, .news = news, .nudge = nudge};
    l->alone = settings_num(s->settings, SET_io_threads) == 1;
    l->server = s;
    l->number = number;
    l->armed_ms = INT64_MAX;
    l->free_slot = UINT32_MAX;
    pthread_mutex_init(&l->list_lock, NULL);
    timers_init(&l->timers);
    waiters_init(&l->waiters, &l->timers, dispatch_expire);
    command_space_init(&l->space);
    buf_init(&l->reply, (size_t)REPLY_BYTES_MAX);
    l->scratch = malloc(READ_BYTES);
    bool made = letters_init(&l->letters) == ST_OK && l->scratch && make_events(l) == ST_OK;
    if (made)
        return l;
    free_parts(l);
    return NULL;
}

struct loop *loop_start(struct server *s, uint32_t number)
{
    struct loop *l = loop_new(s, number);
    if (!l) {
        errno = ENOMEM;
        return NULL;
    }
    refresh_settings(l);
    journal_register(s->journal, &l->client);
    int failed = pthread_create(&l->thread, NULL, run, l);
    if (failed) {
        free_parts(l);
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
        atomic_fetch_sub(&l->server->connections, 1);
    free_parts(l);
}

/* ---- asked by other threads ---- */

bool loop_adopt(struct loop *l, int fd)
{
    return mailbox_post_fd(&l->box, fd);
}

void loop_drain(struct loop *l, int64_t timeout_ms)
{
    mailbox_order(&l->box, ORDER_DRAIN, timeout_ms);
}

void loop_tick(struct loop *l)
{
    mailbox_order(&l->box, ORDER_TICK, 0);
}

struct counters *loop_counters(struct loop *l)
{
    return &l->counters;
}

bool loop_kill_client(struct loop *l, uint64_t id)
{
    pthread_mutex_lock(&l->list_lock);
    bool ours = conn_by_id(l, id) != NULL;
    pthread_mutex_unlock(&l->list_lock);
    return ours && mailbox_post_kill(&l->box, id);
}

static void put_address(int fd, struct buf *out)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getpeername(fd, (struct sockaddr *)&a, &size) != 0 ||
        getnameinfo((struct sockaddr *)&a, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        buf_put_str(out, "?");
        return;
    }
    buf_printf(out, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static const char *dialect_of(const struct conn *c)
{
    if (c->dialect == DIALECT_RPC)
        return "rpc";
    return c->proto == 3 ? "resp3" : "resp2";
}

static void put_client(struct conn *c, int64_t now_ms, struct buf *out)
{
    const struct command_info *last = atomic_load_explicit(&c->last, memory_order_relaxed);
    buf_printf(out, "id=%" PRIu64 " addr=", c->id);
    put_address(c->fd, out);
    buf_printf(out, " name=%s dialect=%s age_s=%" PRId64 " cmd=", c->name ? c->name : "",
               dialect_of(c), (now_ms - c->opened_ms) / 1000);
    for (const char *p = last ? last->method : ""; *p; p++)
        buf_put_u8(out, (uint8_t)*p);
    buf_put_u8(out, '\n');
}

void loop_list_clients(struct loop *l, struct buf *out)
{
    int64_t now_ms = timers_now();
    pthread_mutex_lock(&l->list_lock);
    for (uint32_t i = 0; i < l->n_slots; i++) {
        if (l->slots[i].conn)
            put_client(l->slots[i].conn, now_ms, out);
    }
    pthread_mutex_unlock(&l->list_lock);
}
