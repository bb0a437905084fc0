/*
 * turn.c: the loop of a worker's thread. A turn handles the sockets that are ready, then the reminders that are
 * due, and once a second hands what was counted to the series.
 *
 * It sleeps until the next socket is ready or the next reminder is due, to the microsecond where the kernel can
 * (epoll_pwait2), else to the millisecond.
 */
#include "bench/load/turn.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/base/units.h"
#include "bench/load/link_io.h"
#include "bench/load/pump.h"

#define EVENTS 256

static int turn_sleep_until_event(struct worker *w, struct epoll_event *events)
{
    const struct heap_node *first = heap_first(&w->reminders);
    int64_t next = first ? first->due : INT64_MAX, now = mono_ns();
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
        load_fail(w->load, "epoll failed: %s", strerror(errno));
    w->now_ns = mono_ns();
    return n;
}

static void turn_take_events(struct worker *w, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            link_event(events[i].data.ptr, events[i].events);
            continue;
        }
        /* Woken: the load begins, or was given up. */
        uint64_t count;
        ssize_t got = read(w->wake, &count, sizeof count);
        (void)got;
        for (unsigned k = 0; k < w->n_links; k++) {
            struct load_link *l = &w->links[k];
            if (l->pace.origin_ns == 0)
                l->pace.origin_ns = w->load->begin_ns;
            pump_link(l);
            link_flush(l);
        }
    }
}

void *turn_main(void *worker)
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
    while (!atomic_load(&w->load->abort) && w->n_done < w->n_links) {
        int n = turn_sleep_until_event(w, events);
        worker_pass_seconds(w);
        turn_take_events(w, events, n);
        for (struct reminder *due; (due = worker_due(w)) != NULL;)
            link_remind(due);
        worker_watch_progress(w);
    }
    w->now_ns = mono_ns();
    worker_pass_seconds(w);
    if (atomic_load(&w->load->go))
        series_leave(&w->load->series, w->index, &w->meter);
    for (unsigned i = 0; i < w->n_links; i++)
        link_close(&w->links[i]);
    sem_post(&w->load->ended);
    return NULL;
}
