/*
 * worker.c: a thread's turn, over and over: what is due, what came, what the second that has passed
 * brought.
 *
 * It sleeps until the next socket is ready or the next thing is due, to the microsecond where the
 * kernel can (epoll_pwait2).
 */
#include "bench/load/load.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/base/units.h"

#define EVENTS 256

void worker_wake(struct worker *w)
{
    uint64_t one = 1;
    /* It fails only when the counter is full: then it is awake. */
    ssize_t n = write(w->wake, &one, sizeof one);
    (void)n;
}

void run_trouble(struct worker *w, struct slice text)
{
    METER_COUNT(&w->meter, errors, 1);
    troubles_note(&w->run->troubles, text);
}

/* Seconds are counted from the beginning of the measurement; those of the warm-up are thrown away.
 * */
static void pass_seconds(struct worker *w)
{
    struct run *r = w->run;
    if (!atomic_load(&r->go))
        return;
    if (w->next_second_ns == 0)
        w->next_second_ns = r->measure_ns;
    while (w->now_ns >= w->next_second_ns) {
        if (w->next_second_ns == r->measure_ns)
            meter_next_second(&w->meter);
        else
            series_bring(&r->series, w->index, &w->meter);
        w->next_second_ns += NS_PER_S;
    }
}

static void do_due(struct worker *w)
{
    struct reminder due;
    while (agenda_take(&w->agenda, w->now_ns, &due))
        link_remind(due.owner, due.what);
}

static int sleep_until_event(struct worker *w, struct epoll_event *events)
{
    int64_t next = agenda_next(&w->agenda), now = mono_ns();
    if (w->next_second_ns > 0 && w->next_second_ns < next)
        next = w->next_second_ns;
    if (next > now + NS_PER_S)
        next = now + NS_PER_S;
    int64_t left = next > now ? next - now : 0;
    struct timespec t = {left / NS_PER_S, left % NS_PER_S};
    int n = epoll_pwait2(w->epoll, events, EVENTS, &t, NULL);
    if (n < 0 && errno == ENOSYS)
        n = epoll_wait(w->epoll, events, EVENTS, (int)((left + NS_PER_MS - 1) / NS_PER_MS));
    if (n < 0 && errno != EINTR)
        run_fail(w->run, "waiting for sockets failed: %s", strerror(errno));
    w->now_ns = mono_ns();
    return n;
}

static void take_events(struct worker *w, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            link_event(events[i].data.ptr, events[i].events);
            continue;
        }
        /* Woken: the run goes, or is given up. */
        uint64_t count;
        ssize_t got = read(w->wake, &count, sizeof count);
        (void)got;
        for (unsigned k = 0; k < w->n_links; k++) {
            struct link *l = &w->links[k];
            if (l->pace.origin_ns == 0)
                l->pace.origin_ns = w->run->begin_ns;
            op_pump(l);
            link_flush(l);
        }
    }
}

/* Nothing has come forward for too long: better an end that says so than none. */
static void watch_progress(struct worker *w)
{
    struct run *r = w->run;
    if (!atomic_load(&r->go) || w->now_ns - atomic_load(&r->progress_ns) <= r->o->patience)
        return;
    run_fail(r, "nothing has come forward for %.0f s (--patience)", (double)r->o->patience / 1e9);
}

void *worker_main(void *worker)
{
    struct worker *w = worker;
    struct epoll_event events[EVENTS];
    char name[16];
    snprintf(name, sizeof name, "bench-%u", w->index);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1UL);
    w->now_ns = mono_ns();
    for (unsigned i = 0; i < w->n_links; i++)
        link_connect(&w->links[i]);
    while (!atomic_load(&w->run->abort) && w->n_done < w->n_links) {
        int n = sleep_until_event(w, events);
        pass_seconds(w);
        take_events(w, events, n);
        do_due(w);
        watch_progress(w);
    }
    w->now_ns = mono_ns();
    pass_seconds(w);
    if (atomic_load(&w->run->go))
        series_leave(&w->run->series, w->index, &w->meter);
    for (unsigned i = 0; i < w->n_links; i++)
        link_close(&w->links[i]);
    sem_post(&w->run->ended);
    return NULL;
}
