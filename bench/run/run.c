/*
 * run.c: builds workers and links, lets them go all at once, watches, adds up.
 *
 *   connect ──(all links up)──► go ──► warm-up ──► measured ──► what is under way ends ──► sum
 *           begin_ns ───────────┘    measure_ns ──┘          └─ stop_ns, or the budget is used up
 */
#include "bench/run/run.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/load/load.h"
#include "bench/measure/machine.h"
#include "bench/roles/checker.h"
#include "bench/roles/consumer.h"
#include "bench/roles/producer.h"
#include "bench/roles/streamer.h"
#include "bench/roles/transactor.h"
#include "bench/run/control.h"
#include "bench/run/progress.h"
#include "protocol/limits.h"

/* Which roles a load has; n and ops are told by their functions. */
struct part {
    const struct role *role;
    uint64_t links, ops; /* ops: of all links together */
};

#define PARTS_MAX 2

struct crew {
    struct run *run;
    struct worker *workers;
    unsigned n_workers, n_started;
    unsigned n_links;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

bool run_interrupted(void)
{
    return stopped != 0;
}

void run_fail(struct run *r, const char *fmt, ...)
{
    char text[TROUBLE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    troubles_fatal(&r->troubles, text);
    atomic_store(&r->abort, true);
}

static bool streams_of(const struct options *o, enum mode load, bool redis)
{
    return o->binary && !redis && load == MODE_consume;
}

/* The latency that a load is about. */
static enum latency main_of(enum mode load, bool streams)
{
    switch (load) {
    case MODE_consume: return streams ? LAT_ack : LAT_pop;
    case MODE_txn: return LAT_half_commit;
    case MODE_e2e:
    case MODE_verify: return LAT_e2e;
    default: return LAT_send;
    }
}

static unsigned parts_of(const struct run *r, struct part *parts)
{
    const struct options *o = r->o;
    /* Where answers come in order, an ACK would wait behind the POP that waits for messages. */
    uint64_t pops = r->dialect->ordered ? 1 : 2;
    const struct part consumers = {&role_consumer,
                                   r->load == MODE_consume ? o->connections : o->consumers,
                                   r->load == MODE_consume ? o->inflight : pops * o->consumers};
    unsigned n = 0;
    if (r->streams) {
        parts[n++] = (struct part){&role_streamer, o->connections, o->connections};
        return n;
    }
    if (r->load == MODE_txn)
        parts[n++] = (struct part){&role_transactor, o->connections, o->inflight};
    else if (r->load != MODE_consume)
        parts[n++] = (struct part){&role_producer, o->connections, o->inflight};
    if (r->load == MODE_consume || r->load == MODE_e2e || r->load == MODE_verify)
        parts[n++] = consumers;
    if (r->txids)
        parts[n++] = (struct part){&role_checker, 1, 1};
    return n;
}

static uint32_t span_of(const struct run *r, const struct role *role)
{
    if (role == &role_checker)
        return CHECKS_A_POLL + 2;
    if (role == &role_streamer)
        return STREAM_ACKS + 2;
    return role->sends ? (uint32_t)r->o->batch + 1 : 2;
}

static bool resolve(struct run *r, char *err, size_t err_size)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    snprintf(port, sizeof port, "%llu", (unsigned long long)r->o->port);
    int why = getaddrinfo(r->o->host, port, &hints, &found);
    if (why != 0) {
        snprintf(err, err_size, "the host %s is not known: %s", r->o->host, gai_strerror(why));
        return false;
    }
    memcpy(&r->address, found->ai_addr, found->ai_addrlen);
    r->address_len = found->ai_addrlen;
    r->family = found->ai_family;
    freeaddrinfo(found);
    return true;
}

/* Keys that one producer of verify has to itself: at least one for each of its ops. */
static uint32_t keys_a_link(const struct run *r)
{
    uint64_t ops = (r->o->inflight + r->o->connections - 1) / r->o->connections;
    uint64_t keys = (r->o->key_count + r->o->connections - 1) / r->o->connections;
    return (uint32_t)(keys > ops ? keys : ops);
}

static bool run_init(struct run *r, const struct options *o, enum mode load, bool redis,
                     unsigned n_workers)
{
    memset(r, 0, sizeof *r);
    r->o = o;
    r->load = load;
    r->dialect = redis ? &dialect_redis : dialect_find(o->dialect);
    r->topic = slice_str(o->topic);
    r->group = slice_str(o->group);
    r->pgroup = slice_str(o->pgroup);
    /* Another run's messages in the same topic must not be taken for ours: the seed alone would not
     * tell them apart. */
    struct chance c = chance_from(o->seed ^ (uint64_t)mono_ns(), (uint64_t)getpid());
    r->id = (uint32_t)chance_next(&c);
    r->produce = !redis && o->binary;
    r->streams = streams_of(o, load, redis);
    /* The messages of a record share a queue, so they cannot each have a key; verify gives all of them the same. */
    r->one_by_one = redis || (o->keys.kind != KEYS_NONE && load != MODE_verify) ||
                    (!r->produce && (o->dedup || load == MODE_verify));
    atomic_store(&r->budget, o->messages ? (int64_t)o->messages : INT64_MAX / 2);
    troubles_init(&r->troubles);
    sem_init(&r->ended, 0, 0);
    bool ok = series_init(&r->series, n_workers);
    uint64_t most = dist_max(&o->size);
    ok = body_pool_init(&r->pool, o->body_kind, most ? most : 1, o->seed) && ok;
    ok = keys_init(&r->keys, &o->keys, (uint32_t)o->key_count) && ok;
    if (load == MODE_verify)
        ok = (r->oracle = oracle_new((uint32_t)o->connections * keys_a_link(r))) != NULL && ok;
    if (load == MODE_txn && o->undecided > 0)
        ok = (r->txids = txids_new()) != NULL && ok;
    return ok;
}

static void run_fini(struct run *r)
{
    body_pool_fini(&r->pool);
    keys_fini(&r->keys);
    oracle_free(r->oracle);
    txids_free(r->txids);
    series_fini(&r->series);
    troubles_fini(&r->troubles);
    sem_destroy(&r->ended);
}

/* Where all bodies have the same size and no checksum, and it does not matter what they are, their filler is
 * written once. */
static void fill_space(struct worker *w)
{
    const struct options *o = w->run->o;
    w->filled = o->size.kind == DIST_FIXED && !w->run->oracle && o->body_kind == BODY_FILLER;
    for (uint64_t i = 0; w->filled && i < o->batch; i++) {
        struct body_head head = {.seq = i, .key = w->index};
        body_make(&w->run->pool, &head, false, w->space + i * w->run->pool.most,
                  (size_t)o->size.low);
    }
}

static bool worker_init(struct worker *w, struct run *r, unsigned index, unsigned n_links)
{
    uint64_t bodies = r->load == MODE_consume ? 1 : r->o->batch;
    w->run = r;
    w->index = index;
    w->links = calloc(n_links, sizeof *w->links);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->space = malloc(bodies * r->pool.most);
    w->bodies = calloc(bodies, sizeof *w->bodies);
    w->receipts = calloc(COUNT_MAX, sizeof *w->receipts);
    buf_init(&w->record, BATCH_BYTES_MAX);
    buf_init(&w->starts, BATCH_BYTES_MAX);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    bool ok = meter_init(&w->meter, main_of(r->load, r->streams)) && w->links && w->epoll >= 0 &&
              w->wake >= 0 && w->space && w->bodies && w->receipts &&
              epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &e) == 0;
    if (ok && r->load != MODE_consume)
        fill_space(w);
    return ok;
}

static void worker_fini(struct worker *w)
{
    for (unsigned i = 0; w->links && i < w->n_links; i++)
        link_fini(&w->links[i]);
    free(w->links);
    if (w->epoll > 0)
        close(w->epoll);
    if (w->wake > 0)
        close(w->wake);
    agenda_fini(&w->agenda);
    meter_fini(&w->meter);
    free(w->space);
    free(w->bodies);
    free(w->receipts);
    buf_free(&w->record);
    buf_free(&w->starts);
}

/* A link of a part: its share of the ops, of the rate and of the keys. */
static bool add_link(struct worker *w, const struct part *p, uint32_t index)
{
    struct run *r = w->run;
    struct link *l = &w->links[w->n_links++];
    uint32_t ops = (uint32_t)(p->ops / p->links + (index < p->ops % p->links));
    if (!link_init(l, w, p->role, index, ops, span_of(r, p->role)))
        return false;
    bool paced = p->role->paced || r->load == MODE_consume;
    if (r->o->rate > 0 && paced) {
        l->pace.per_s = r->o->rate / (double)r->o->batch / (double)p->links;
        l->pace.ramp_s = (double)r->o->ramp / 1e9;
        l->pace.phase = ((double)index + 0.5) / (double)p->links;
    } else if (paced) {
        l->join_ns = r->o->ramp / (int64_t)p->links * index;
    }
    if (p->role->sends)
        atomic_fetch_add(&r->senders, 1);
    if (!r->oracle || !p->role->sends)
        return true;
    l->n_keys = keys_a_link(r);
    return (l->key_taken = calloc(l->n_keys, 1)) != NULL;
}

static bool build(struct crew *c, const struct part *parts, unsigned n_parts)
{
    unsigned next = 0;
    for (unsigned i = 0; i < c->n_workers; i++) {
        if (!worker_init(&c->workers[i], c->run, i, c->n_links / c->n_workers + 1))
            return false;
    }
    for (unsigned p = 0; p < n_parts; p++) {
        for (uint32_t k = 0; k < parts[p].links; k++) {
            if (!add_link(&c->workers[next++ % c->n_workers], &parts[p], k))
                return false;
        }
    }
    for (unsigned i = 0; i < c->n_workers; i++) {
        struct worker *w = &c->workers[i];
        size_t reminders = 0;
        for (unsigned k = 0; k < w->n_links; k++)
            reminders += w->links[k].n_ops + 2;
        if (!agenda_init(&w->agenda, reminders))
            return false;
    }
    return true;
}

static void wake_all(struct crew *c)
{
    for (unsigned i = 0; i < c->n_started; i++)
        worker_wake(&c->workers[i]);
}

static bool launch(struct crew *c, char *err, size_t err_size)
{
    for (unsigned i = 0; i < c->n_workers; i++) {
        int why = pthread_create(&c->workers[i].thread, NULL, worker_main, &c->workers[i]);
        if (why != 0) {
            snprintf(err, err_size, "no thread: %s", strerror(why));
            atomic_store(&c->run->abort, true);
            return false;
        }
        c->n_started++;
    }
    return true;
}

/* True: a worker has ended before that time. */
static bool ended_before(struct run *r, int64_t until_ns)
{
    struct timespec t = {until_ns / NS_PER_S, until_ns % NS_PER_S};
    return sem_clockwait(&r->ended, CLOCK_MONOTONIC, &t) == 0;
}

/* Until all links are connected. */
static void wait_for_links(struct crew *c)
{
    struct run *r = c->run;
    int64_t limit = mono_ns() + r->o->patience;
    while (atomic_load(&r->links_up) < c->n_links && !atomic_load(&r->abort)) {
        if (mono_ns() > limit)
            run_fail(r, "only %u of %u connections were made in time", atomic_load(&r->links_up),
                     c->n_links);
        if (stopped)
            atomic_store(&r->abort, true);
        struct timespec pause = {0, NS_PER_MS};
        nanosleep(&pause, NULL);
    }
}

static void let_go(struct crew *c)
{
    struct run *r = c->run;
    r->begin_ns = mono_ns();
    r->measure_ns = r->begin_ns + r->o->warmup;
    r->stop_ns = r->o->duration ? r->measure_ns + r->o->duration : INT64_MAX;
    atomic_store(&r->progress_ns, r->measure_ns);
    atomic_store(&r->go, true);
    wake_all(c);
}

/* How many messages are meant to have been started by now, less those that have; or sent and not
 * taken yet. */
static double lag_of(const struct run *r, int64_t now_ns)
{
    const struct options *o = r->o;
    if (r->load == MODE_e2e || r->load == MODE_verify) {
        double lag = (double)atomic_load(&r->sent) - (double)atomic_load(&r->taken);
        return lag > 0 ? lag : 0;
    }
    if (o->rate <= 0 || r->load == MODE_consume)
        return -1;
    int64_t until = now_ns < r->stop_ns ? now_ns : r->stop_ns;
    double t = (double)(until - r->begin_ns) / 1e9, ramp = (double)o->ramp / 1e9;
    double due = t < ramp ? o->rate * t * t / (2 * ramp) : o->rate * (t - ramp / 2);
    if (o->messages && o->warmup == 0 && due > (double)o->messages)
        due = (double)o->messages;
    double lag = due - (double)atomic_load(&r->started);
    return lag > (double)o->batch * (double)o->connections ? lag : 0;
}

/* Once a second: a sample of the server, a line for whoever watches. */
static void watch(struct crew *c, struct control *control)
{
    struct run *r = c->run;
    unsigned left = c->n_started;
    int64_t next = r->measure_ns + NS_PER_S;
    size_t told = 0;
    struct server_sample sample;
    control_sample(control, mono_ns(), &sample);
    while (left > 0) {
        if (ended_before(r, next)) {
            left--;
            continue;
        }
        if (stopped && !atomic_exchange(&r->abort, true))
            wake_all(c);
        int64_t now = mono_ns();
        if (now < next)
            continue;
        control_sample(control, now, &sample);
        series_note(&r->series, (size_t)((next - r->measure_ns) / NS_PER_S) - 1, lag_of(r, now),
                    &sample);
        struct second row;
        for (; series_row(&r->series, told, &row); told++)
            progress_line(r->o, r->load, told, &row);
        next += NS_PER_S * (1 + (now - next) / NS_PER_S);
    }
}

static void join(struct crew *c)
{
    for (unsigned i = 0; i < c->n_started; i++)
        pthread_join(c->workers[i].thread, NULL);
}

static void conclude_lost(struct run *r, struct result *x)
{
    struct oracle_verdict v;
    uint64_t sent = atomic_load(&r->sent), taken = atomic_load(&r->taken);
    if (r->oracle) {
        oracle_judge(r->oracle, &v);
        x->lost = v.lost;
        x->doubled = v.doubled;
        x->reordered = v.reordered;
        x->damaged = v.damaged;
        x->sum.total.redelivered = v.redelivered;
    } else if (r->load == MODE_e2e) {
        x->lost = sent > taken ? sent - taken : 0;
        x->doubled = taken > sent ? taken - sent : 0;
    }
}

static void sum_up(struct crew *c, struct result *x)
{
    struct run *r = c->run;
    for (unsigned i = 0; i < c->n_workers; i++)
        meter_add(&x->sum, &c->workers[i].meter);
    int64_t end = x->sum.last_ns > r->measure_ns ? x->sum.last_ns : r->measure_ns;
    x->elapsed_s = (double)(end - r->measure_ns) / 1e9;
    series_end(&r->series, x->elapsed_s);
    x->rows = r->series.rows;
    x->n_rows = r->series.n_rows;
    r->series.rows = NULL;
    x->n_troubles = r->troubles.n;
    memcpy(x->troubles, r->troubles.at, sizeof x->troubles);
    memcpy(x->fatal, r->troubles.fatal, sizeof x->fatal);
    x->interrupted = stopped != 0;
    /* What was cut short was not lost. */
    if (!x->fatal[0] && !x->interrupted)
        conclude_lost(r, x);
}

static bool drive(struct crew *c, struct control *control, struct result *x, char *err,
                  size_t err_size)
{
    double cpu = machine_own_cpu_seconds();
    int64_t begin_ns = mono_ns();
    if (!launch(c, err, err_size)) {
        wake_all(c);
        join(c);
        return false;
    }
    wait_for_links(c);
    bool began = !atomic_load(&c->run->abort);
    if (began) {
        let_go(c);
        watch(c, control);
    }
    wake_all(c);
    join(c);
    sum_up(c, x);
    double took_s = (double)(mono_ns() - begin_ns) / 1e9;
    x->cpu_share = took_s > 0 ? (machine_own_cpu_seconds() - cpu) / took_s : 0;
    if (!began)
        snprintf(err, err_size, "%s", x->fatal[0] ? x->fatal : "interrupted");
    return began;
}

static bool with_control(const struct options *o, enum mode load, bool redis,
                         struct control *control, struct result *x, char *err, size_t err_size)
{
    struct run r;
    struct crew c = {.run = &r};
    struct part parts[PARTS_MAX + 1];
    unsigned n_parts = 0;
    c.n_workers = (unsigned)(o->threads < o->connections ? o->threads : o->connections);
    snprintf(err, err_size, "no memory, or too few open files, for that many connections");
    bool ok = run_init(&r, o, load, redis, c.n_workers) &&
              (c.workers = calloc(c.n_workers, sizeof *c.workers));
    if (ok) {
        n_parts = parts_of(&r, parts);
        assert(n_parts <= PARTS_MAX);
        for (unsigned i = 0; i < n_parts; i++)
            c.n_links += (unsigned)parts[i].links;
        ok = build(&c, parts, n_parts);
    }
    ok = ok && resolve(&r, err, err_size) &&
         control_prepare(control, o, load, redis, err, err_size) &&
         (!r.oracle || !r.produce ||
          control_order_queues(control, o->topic, &r.order_queues, err, err_size)) &&
         drive(&c, control, x, err, err_size);
    x->dialect = r.dialect->name;
    for (unsigned i = 0; c.workers && i < c.n_workers; i++)
        worker_fini(&c.workers[i]);
    free(c.workers);
    run_fini(&r);
    return ok;
}

bool run_load(const struct options *o, enum mode load, bool redis, struct result *ret_result,
              char *err, size_t err_size)
{
    struct sigaction act = {.sa_handler = on_signal};
    ret_result->o = *o;
    ret_result->load = load;
    if (!meter_init(&ret_result->sum, main_of(load, streams_of(o, load, redis)))) {
        snprintf(err, err_size, "no memory for the histograms");
        return false;
    }
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    struct control *control = control_open(o->host, (int)o->port, err, err_size);
    if (!control)
        return false;
    machine_facts(&ret_result->facts);
    control_facts(control, &ret_result->facts);
    bool ok = with_control(o, load, redis, control, ret_result, err, err_size);
    control_close(control);
    return ok;
}
