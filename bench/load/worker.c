/* worker.c: makes a worker, keeps its reminders, wakes it, counts its errors. */
#include "bench/load/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/base/units.h"
#include "protocol/limits.h"

/* Writes the filler of all bodies once, if they all have the same size and no checksum and may have any content. */
static void worker_fill_space(struct worker *w)
{
    const struct options *o = w->load->o;
    w->filled = o->size.kind == DIST_FIXED && !w->load->oracle && o->body_kind == BODY_FILLER;
    for (uint64_t i = 0; w->filled && i < o->batch; i++) {
        struct body_head head = {.seq = i, .key = w->index};
        body_make(&w->load->pool, &head, false, w->space + i * w->load->pool.most, (size_t)o->size.low);
    }
}

bool worker_init(struct worker *w, struct load *load, unsigned index)
{
    uint64_t bodies = load->mode == MODE_consume ? 1 : load->o->batch;
    w->load = load;
    w->index = index;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->space = malloc(bodies * load->pool.most);
    w->bodies = calloc(bodies, sizeof *w->bodies);
    w->receipts = calloc(COUNT_MAX, sizeof *w->receipts);
    buf_init(&w->record, BATCH_BYTES_MAX);
    buf_init(&w->starts, BATCH_BYTES_MAX);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    bool ok = meter_init(&w->meter, load->main) && w->epoll >= 0 && w->wake >= 0 && w->space && w->bodies &&
              w->receipts && epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &e) == 0;
    if (ok && load->mode != MODE_consume)
        worker_fill_space(w);
    return ok;
}

void worker_fini(struct worker *w)
{
    if (w->epoll > 0)
        close(w->epoll);
    if (w->wake > 0)
        close(w->wake);
    heap_free(&w->reminders);
    meter_fini(&w->meter);
    free(w->space);
    free(w->bodies);
    free(w->receipts);
    buf_free(&w->record);
    buf_free(&w->starts);
}

void worker_wake(struct worker *w)
{
    uint64_t one = 1;
    /* It fails only when the counter is full, and then the thread is awake. */
    ssize_t n = write(w->wake, &one, sizeof one);
    (void)n;
}

void worker_remind(struct worker *w, struct reminder *r, int64_t at_ns)
{
    assert(!reminder_set(r));
    heap_put(&w->reminders, &r->node, at_ns);
}

struct reminder *worker_due(struct worker *w)
{
    struct heap_node *first = heap_first(&w->reminders);
    if (!first || first->due > w->now_ns)
        return NULL;
    heap_remove(&w->reminders, first);
    return (struct reminder *)((char *)first - offsetof(struct reminder, node));
}

void worker_trouble(struct worker *w, struct slice text)
{
    METER_COUNT(&w->meter, errors, 1);
    troubles_note(&w->load->troubles, text);
}

void worker_pass_seconds(struct worker *w)
{
    struct load *load = w->load;
    if (!atomic_load(&load->go))
        return;
    if (w->next_second_ns == 0)
        w->next_second_ns = load->measure_ns;
    while (w->now_ns >= w->next_second_ns) {
        if (w->next_second_ns == load->measure_ns)
            meter_next_second(&w->meter);
        else
            series_bring(&load->series, w->index, &w->meter);
        w->next_second_ns += NS_PER_S;
    }
}

void worker_watch_progress(struct worker *w)
{
    struct load *load = w->load;
    if (!atomic_load(&load->go) || w->now_ns - atomic_load(&load->progress_ns) <= load->o->patience)
        return;
    load_fail(load, "no progress for %.0f s (--patience)", (double)load->o->patience / 1e9);
}
