/*
 * run.c: makes a load's threads and connections, starts them all at once, watches them, and adds up the result.
 *
 *   connect ──(all links up)──► go ──► warm-up ──► measured ──► what is in flight ends ──► sum
 *           begin_ns ───────────┘    measure_ns ──┘          └─ stop_ns, or the budget is used up
 */
#include "bench/run/run.h"

#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/base/mono.h"
#include "bench/measure/machine.h"
#include "bench/roles/oracle.h"
#include "bench/run/control.h"
#include "bench/run/crew.h"
#include "bench/run/plan.h"
#include "bench/run/progress.h"

static volatile sig_atomic_t stopped;

static void run_on_signal(int number)
{
    (void)number;
    stopped = 1;
}

bool run_interrupted(void)
{
    return stopped != 0;
}

static bool run_resolve(struct load *load, char *err, size_t err_size)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    snprintf(port, sizeof port, "%llu", (unsigned long long)load->o->port);
    int why = getaddrinfo(load->o->host, port, &hints, &found);
    if (why != 0) {
        snprintf(err, err_size, "cannot resolve the host %s: %s", load->o->host, gai_strerror(why));
        return false;
    }
    memcpy(&load->address, found->ai_addr, found->ai_addrlen);
    load->address_len = found->ai_addrlen;
    load->family = found->ai_family;
    freeaddrinfo(found);
    return true;
}

/* Waits until then. True: a worker has ended before. */
static bool run_ended_before(struct load *load, int64_t until_ns)
{
    struct timespec t = {until_ns / NS_PER_S, until_ns % NS_PER_S};
    return sem_clockwait(&load->ended, CLOCK_MONOTONIC, &t) == 0;
}

/* Waits until all links are connected, or the load is given up. */
static void run_wait_for_links(struct crew *c)
{
    struct load *load = c->load;
    int64_t limit = mono_ns() + load->o->patience;
    while (atomic_load(&load->links_up) < c->n_links && !atomic_load(&load->abort)) {
        if (mono_ns() > limit)
            load_fail(load, "only %u of %u connections could be made in time (--patience)", atomic_load(&load->links_up),
                      c->n_links);
        if (stopped)
            atomic_store(&load->abort, true);
        struct timespec pause = {0, NS_PER_MS};
        nanosleep(&pause, NULL);
    }
}

static void run_let_go(struct crew *c)
{
    struct load *load = c->load;
    load->begin_ns = mono_ns();
    load->measure_ns = load->begin_ns + load->o->warmup;
    load->stop_ns = load->o->duration ? load->measure_ns + load->o->duration : INT64_MAX;
    atomic_store(&load->progress_ns, load->measure_ns);
    atomic_store(&load->go, true);
    crew_wake(c);
}

/* How many messages the load is behind: those that were meant to be started by now and were not; in e2e and verify
 * those that were sent and not yet received. -1: there is no schedule. */
static double run_lag_of(const struct load *load, int64_t now_ns)
{
    const struct options *o = load->o;
    if (load->mode == MODE_e2e || load->mode == MODE_verify) {
        double lag = (double)atomic_load(&load->sent) - (double)atomic_load(&load->taken);
        return lag > 0 ? lag : 0;
    }
    if (o->rate <= 0 || load->mode == MODE_consume)
        return -1;
    int64_t until = now_ns < load->stop_ns ? now_ns : load->stop_ns;
    double t = (double)(until - load->begin_ns) / 1e9, ramp = (double)o->ramp / 1e9;
    double due = t < ramp ? o->rate * t * t / (2 * ramp) : o->rate * (t - ramp / 2);
    if (o->messages && o->warmup == 0 && due > (double)o->messages)
        due = (double)o->messages;
    double lag = due - (double)atomic_load(&load->started);
    return lag > (double)o->batch * (double)o->connections ? lag : 0;
}

/* Once a second takes a sample of the server and prints a line of progress, until all workers have ended. */
static void run_watch(struct crew *c, struct control *control)
{
    struct load *load = c->load;
    unsigned left = c->n_started;
    int64_t next = load->measure_ns + NS_PER_S;
    size_t told = 0;
    struct server_sample sample;
    control_sample(control, mono_ns(), &sample);
    while (left > 0) {
        if (run_ended_before(load, next)) {
            left--;
            continue;
        }
        if (stopped && !atomic_exchange(&load->abort, true))
            crew_wake(c);
        int64_t now = mono_ns();
        if (now < next)
            continue;
        control_sample(control, now, &sample);
        series_note(&load->series, (size_t)((next - load->measure_ns) / NS_PER_S) - 1, run_lag_of(load, now),
                    &sample);
        struct second row;
        for (; series_row(&load->series, told, &row); told++)
            progress_line(load->o, load->mode, told, &row);
        next += NS_PER_S * (1 + (now - next) / NS_PER_S);
    }
}

static void run_conclude_lost(struct load *load, struct result *x)
{
    struct oracle_verdict v;
    uint64_t sent = atomic_load(&load->sent), taken = atomic_load(&load->taken);
    if (load->oracle) {
        oracle_judge(load->oracle, &v);
        x->lost = v.lost;
        x->doubled = v.doubled;
        x->reordered = v.reordered;
        x->damaged = v.damaged;
        x->sum.total.redelivered = v.redelivered;
    } else if (load->mode == MODE_e2e) {
        x->lost = sent > taken ? sent - taken : 0;
        x->doubled = taken > sent ? taken - sent : 0;
    }
}

static void run_sum_up(struct crew *c, struct result *x)
{
    struct load *load = c->load;
    for (unsigned i = 0; i < c->n_workers; i++)
        meter_add(&x->sum, &c->workers[i].meter);
    int64_t end = x->sum.last_ns > load->measure_ns ? x->sum.last_ns : load->measure_ns;
    x->elapsed_s = (double)(end - load->measure_ns) / 1e9;
    series_end(&load->series, x->elapsed_s);
    x->rows = load->series.rows;
    x->n_rows = load->series.n_rows;
    load->series.rows = NULL;
    x->n_troubles = load->troubles.n;
    memcpy(x->troubles, load->troubles.at, sizeof x->troubles);
    memcpy(x->fatal, load->troubles.fatal, sizeof x->fatal);
    x->interrupted = stopped != 0;
    /* In a run that was cut short, messages that are missing were not lost. */
    if (!x->fatal[0] && !x->interrupted)
        run_conclude_lost(load, x);
}

static bool run_drive(struct crew *c, struct control *control, struct result *x, char *err,
                      size_t err_size)
{
    double cpu = machine_own_cpu_seconds();
    int64_t begin_ns = mono_ns();
    if (!crew_start(c, err, err_size)) {
        crew_join(c);
        return false;
    }
    run_wait_for_links(c);
    bool began = !atomic_load(&c->load->abort);
    if (began) {
        run_let_go(c);
        run_watch(c, control);
    }
    crew_join(c);
    run_sum_up(c, x);
    double took_s = (double)(mono_ns() - begin_ns) / 1e9;
    x->cpu_share = took_s > 0 ? (machine_own_cpu_seconds() - cpu) / took_s : 0;
    if (!began)
        snprintf(err, err_size, "%s", x->fatal[0] ? x->fatal : "interrupted");
    return began;
}

/* Resolves the server's address, and creates topic and group. */
static bool run_prepare(struct load *load, bool redis, struct control *control, char *err, size_t err_size)
{
    const struct options *o = load->o;
    if (!run_resolve(load, err, err_size) || !control_prepare(control, o, load->mode, redis, err, err_size))
        return false;
    return !load->oracle || !load->produce ||
           control_order_queues(control, o->topic, &load->order_queues, err, err_size);
}

static bool run_with_control(const struct options *o, enum mode mode, bool redis, struct control *control,
                             struct result *x, char *err, size_t err_size)
{
    struct load load;
    struct crew c = {0};
    unsigned n_workers = (unsigned)(o->threads < o->connections ? o->threads : o->connections);
    bool ok = load_init(&load, o, mode, redis, n_workers);
    ok = plan_init(&load, redis) && ok && crew_init(&c, &load, n_workers);
    if (!ok)
        snprintf(err, err_size, "no memory, or too few open files, for that many connections");
    ok = ok && run_prepare(&load, redis, control, err, err_size) && run_drive(&c, control, x, err, err_size);
    x->dialect = o->lib ? "libhalfmq" : load.dialect->name;
    crew_fini(&c);
    plan_fini(&load);
    load_fini(&load);
    return ok;
}

bool run_load(const struct options *o, enum mode mode, bool redis, struct result *ret_result,
              char *err, size_t err_size)
{
    struct sigaction act = {.sa_handler = run_on_signal};
    ret_result->o = *o;
    ret_result->load = mode;
    if (!meter_init(&ret_result->sum, plan_latency(o, mode, redis))) {
        snprintf(err, err_size, "no memory for the histograms");
        return false;
    }
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    struct control *control = control_open(o, err, err_size);
    if (!control)
        return false;
    machine_facts(&ret_result->facts);
    control_facts(control, &ret_result->facts);
    bool ok = run_with_control(o, mode, redis, control, ret_result, err, err_size);
    control_close(control);
    return ok;
}
