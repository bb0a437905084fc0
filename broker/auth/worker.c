/* worker.c: the worker's queue, its thread, and jobs that are held (worker.h). */
#include "broker/auth/worker.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/base/clock.h"

#define IDLE_WAIT_MS 3600000 /* it is signalled before */

struct job_list {
    struct worker_job *first, *last;
};

struct auth_worker {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool joined;
    /* ---- under the lock ---- */
    bool stopping;
    struct job_list quick, slow;
    unsigned n_queued;
    struct heap held;
};

static void worker_push(struct job_list *l, struct worker_job *j)
{
    j->next = NULL;
    *(l->first ? &l->last->next : &l->first) = j;
    l->last = j;
}

static struct worker_job *worker_pop(struct job_list *l)
{
    struct worker_job *j = l->first;
    if (j)
        l->first = j->next;
    return j;
}

static int64_t worker_now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* False: the queue is full. */
static bool worker_enqueue(struct auth_worker *w, struct worker_job *j)
{
    if (w->n_queued >= WORKER_QUEUE_MAX)
        return false;
    worker_push(j->quick ? &w->quick : &w->slow, j);
    w->n_queued++;
    return true;
}

/* False: as many are held as may be. */
static bool worker_hold(struct auth_worker *w, struct worker_job *j)
{
    return w->held.n < WORKER_HELD_MAX && heap_set(&w->held, &j->due, worker_now_ms() + j->hold_ms);
}

/* What need not be held any longer goes into the queue, or, if it was worked on, to `done`. */
static void worker_release(struct auth_worker *w, struct job_list *done)
{
    int64_t now_ms = worker_now_ms();
    for (struct heap_node *n; (n = heap_first(&w->held)) && (n->due <= now_ms || w->stopping);) {
        struct worker_job *j = (struct worker_job *)n;
        heap_remove(&w->held, n);
        j->dropped = !j->worked && (w->stopping || !worker_enqueue(w, j));
        if (j->worked || j->dropped)
            worker_push(done, j);
    }
}

static struct worker_job *worker_next(struct auth_worker *w)
{
    struct worker_job *j = worker_pop(&w->quick);
    if (!j)
        j = worker_pop(&w->slow);
    if (j)
        w->n_queued--;
    return j;
}

static void worker_drop_queue(struct auth_worker *w, struct job_list *done)
{
    for (struct worker_job *j; (j = worker_next(w));) {
        j->dropped = true;
        worker_push(done, j);
    }
}

static void worker_tell(struct job_list *done)
{
    for (struct worker_job *j; (j = worker_pop(done));)
        j->done(j);
}

/* Without the lock. A job that cannot be held, since too many are, is done at once: its answer is not the only one. */
static void worker_do(struct auth_worker *w, struct worker_job *j)
{
    j->hold_ms = 0;
    j->work(j);
    j->worked = true;
    pthread_mutex_lock(&w->lock);
    bool held = j->hold_ms > 0 && !w->stopping && worker_hold(w, j);
    pthread_mutex_unlock(&w->lock);
    if (!held)
        j->done(j);
}

static void worker_wait(struct auth_worker *w)
{
    const struct heap_node *n = heap_first(&w->held);
    int64_t ms = n ? n->due - worker_now_ms() : IDLE_WAIT_MS;
    if (ms > 0)
        clock_wait(&w->changed, &w->lock, ms);
}

static void *worker_run(void *arg)
{
    struct auth_worker *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct job_list done = {0};
        worker_release(w, &done);
        if (w->stopping)
            worker_drop_queue(w, &done);
        struct worker_job *j = worker_next(w);
        bool idle = !j && !done.first;
        if (idle && w->stopping)
            break;
        if (idle) {
            worker_wait(w);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        worker_tell(&done);
        if (j)
            worker_do(w, j);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void worker_fini(struct auth_worker *w)
{
    heap_free(&w->held);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct auth_worker *worker_new(void)
{
    struct auth_worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        free(w);
        return NULL;
    }
    if (!clock_cond_new(&w->changed)) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    if (pthread_create(&w->thread, NULL, worker_run, w) == 0)
        return w;
    worker_fini(w);
    return NULL;
}

enum status worker_give(struct auth_worker *w, struct worker_job *j)
{
    j->worked = j->dropped = false;
    j->due.place = 0;
    pthread_mutex_lock(&w->lock);
    bool taken = !w->stopping && (j->hold_ms > 0 ? worker_hold(w, j) : worker_enqueue(w, j));
    if (taken)
        pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return taken ? ST_OK : ST_BUSY;
}

void worker_stop(struct auth_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (!w->joined)
        pthread_join(w->thread, NULL);
    w->joined = true;
}

void worker_free(struct auth_worker *w)
{
    if (!w)
        return;
    worker_stop(w);
    worker_fini(w);
}
