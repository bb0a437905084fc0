/* workers.c: the worker threads and the bounded queue that they take tasks from; see workers.h. */
#include "clients/c/client/workers.h"

#include <stdlib.h>

#include "clients/c/wire/clock.h"

static void workers_tell_if_settled(struct workers *w)
{
    if (w->stopping && w->alive == w->outside)
        pthread_cond_broadcast(&w->settled);
}

static void workers_fini(struct workers *w)
{
    free(w->list);
    pthread_cond_destroy(&w->settled);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
}

/* The next task; NULL: the end. */
static struct task *workers_next(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->stopping && TAILQ_EMPTY(&w->tasks))
        pthread_cond_wait(&w->more, &w->lock);
    struct task *task = w->stopping ? NULL : TAILQ_FIRST(&w->tasks);
    if (task) {
        TAILQ_REMOVE(&w->tasks, task, link);
        w->n_tasks--;
    }
    pthread_mutex_unlock(&w->lock);
    return task;
}

/* Counts one out who uses the workers: a thread, or the one who abandons them. The last one frees what is abandoned. */
static void workers_leave(struct workers *w, struct workers_one *who)
{
    pthread_mutex_lock(&w->lock);
    void (*last)(void *arg) = w->last;
    bool frees = --w->alive == 0 && last;
    if (who && who->state == WORKERS_LIVE)
        who->state = WORKERS_ENDED;
    workers_tell_if_settled(w);
    pthread_mutex_unlock(&w->lock);
    if (frees) {
        void *arg = w->arg;
        workers_fini(w);
        last(arg);
    } else if (!last && who && w->gone) {
        w->gone(w->arg);
    }
}

static void *workers_main(void *arg)
{
    struct workers_one *me = arg;
    struct workers *w = me->owner;
    struct task *task;
    while ((task = workers_next(w)))
        w->run(task, w->arg);
    workers_leave(w, me);
    return NULL;
}

static bool workers_start_threads(struct workers *w, size_t n)
{
    int failed = 0;
    pthread_mutex_lock(&w->lock); /* nobody ends before all are counted */
    for (; w->n < n && !failed; w->n += !failed) {
        w->list[w->n].owner = w;
        failed = pthread_create(&w->list[w->n].thread, NULL, workers_main, &w->list[w->n]);
    }
    w->alive = w->n;
    pthread_mutex_unlock(&w->lock);
    return !failed;
}

bool workers_start(struct workers *w, size_t n, size_t max_tasks,
                   void (*run)(struct task *task, void *arg), void (*gone)(void *arg), void *arg)
{
    *w = (struct workers){.run = run, .gone = gone, .arg = arg, .max_tasks = max_tasks};
    TAILQ_INIT(&w->tasks);
    w->list = calloc(n, sizeof *w->list);
    if (!w->list)
        return false;
    if (pthread_mutex_init(&w->lock, NULL) != 0 || !clock_cond_init(&w->more) ||
        pthread_cond_init(&w->settled, NULL) != 0) {
        free(w->list);
        return false;
    }
    if (workers_start_threads(w, n))
        return true;
    struct task_list none;
    workers_stop(w, &none);
    return false;
}

bool workers_push(struct workers *w, struct task *task)
{
    pthread_mutex_lock(&w->lock);
    bool room = !w->stopping && w->n_tasks < w->max_tasks;
    if (room) {
        TAILQ_INSERT_TAIL(&w->tasks, task, link);
        w->n_tasks++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

void workers_push_all(struct workers *w, struct task_list *tasks, size_t n)
{
    pthread_mutex_lock(&w->lock);
    size_t room = w->stopping ? 0 : w->max_tasks - w->n_tasks;
    if (n <= room) {
        TAILQ_CONCAT(&w->tasks, tasks, link);
        w->n_tasks += n;
    }
    for (struct task *task; n > room && room > 0 && (task = TAILQ_FIRST(tasks)); room--) {
        TAILQ_REMOVE(tasks, task, link);
        TAILQ_INSERT_TAIL(&w->tasks, task, link);
        w->n_tasks++;
        n--;
    }
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void workers_push_first(struct workers *w, struct task_list *tasks)
{
    struct task *task;
    pthread_mutex_lock(&w->lock);
    if (!w->stopping) {
        TAILQ_FOREACH(task, tasks, link)
            w->n_tasks++;
        TAILQ_CONCAT(tasks, &w->tasks, link);
        TAILQ_CONCAT(&w->tasks, tasks, link);
        pthread_cond_broadcast(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
}

void workers_take_back(struct workers *w, struct task_list *ret_tasks)
{
    pthread_mutex_lock(&w->lock);
    TAILQ_CONCAT(ret_tasks, &w->tasks, link);
    w->n_tasks = 0;
    pthread_mutex_unlock(&w->lock);
}

/* Cuts the list of tasks behind this one, and moves what is before that to another list. */
static void workers_cut(struct workers *w, struct task *last, struct task_list *to)
{
    struct task *first = TAILQ_FIRST(&w->tasks), *rest = TAILQ_NEXT(last, link);
    w->tasks.tqh_first = rest;
    rest->link.tqe_prev = &w->tasks.tqh_first;
    last->link.tqe_next = NULL;
    *to->tqh_last = first;
    first->link.tqe_prev = to->tqh_last;
    to->tqh_last = &last->link.tqe_next;
}

/* Moves the first tasks to the list, until they weigh n or none is left; how much they weigh. One walk over what its owner
 * reads next anyway. */
static size_t workers_move_locked(struct workers *w, struct task_list *to, size_t n,
                                  size_t (*weight)(const struct task *task))
{
    struct task *last = NULL;
    size_t got = 0;
    for (struct task *task = TAILQ_FIRST(&w->tasks); task && got < n; task = TAILQ_NEXT(task, link)) {
        last = task;
        got += weight(task);
        w->n_tasks--;
    }
    if (w->n_tasks == 0)
        TAILQ_CONCAT(to, &w->tasks, link);
    else if (last)
        workers_cut(w, last, to);
    return got;
}

void workers_take_more(struct workers *w, struct task_list *tasks, size_t n, size_t (*weight)(const struct task *task),
                       int64_t deadline_ms)
{
    bool in_time = true;
    pthread_mutex_lock(&w->lock);
    while (n > 0 && !w->stopping) {
        size_t got = workers_move_locked(w, tasks, n, weight);
        n -= got < n ? got : n;
        if (n == 0 || !in_time || clock_ms() >= deadline_ms)
            break;
        in_time = clock_cond_wait(&w->more, &w->lock, deadline_ms);
    }
    pthread_mutex_unlock(&w->lock);
}

bool workers_here(const struct workers *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (pthread_equal(w->list[i].thread, pthread_self()))
            return true;
    return false;
}

void workers_halt(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
}

bool workers_gone(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    bool gone = w->alive == 0;
    pthread_mutex_unlock(&w->lock);
    return gone;
}

void workers_stop(struct workers *w, struct task_list *ret_left)
{
    workers_halt(w);
    for (size_t i = 0; i < w->n; i++)
        pthread_join(w->list[i].thread, NULL);
    TAILQ_INIT(ret_left);
    TAILQ_CONCAT(ret_left, &w->tasks, link);
    workers_fini(w);
}

void workers_outside(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->outside++;
    workers_tell_if_settled(w);
    pthread_mutex_unlock(&w->lock);
}

bool workers_inside(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->outside--;
    bool abandoned = w->last;
    pthread_mutex_unlock(&w->lock);
    return !abandoned;
}

bool workers_abandon(struct workers *w, void (*last)(void *arg), struct task_list *ret_left)
{
    workers_halt(w);
    pthread_mutex_lock(&w->lock);
    while (w->alive > w->outside)
        pthread_cond_wait(&w->settled, &w->lock);
    if (w->alive == 0) {
        pthread_mutex_unlock(&w->lock);
        workers_stop(w, ret_left);
        return false;
    }
    w->last = last;
    w->alive++; /* the caller, until it has joined those that ended */
    for (size_t i = 0; i < w->n; i++) {
        if (w->list[i].state == WORKERS_LIVE) {
            w->list[i].state = WORKERS_DETACHED;
            pthread_detach(w->list[i].thread);
        }
    }
    TAILQ_INIT(ret_left);
    TAILQ_CONCAT(ret_left, &w->tasks, link);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->n; i++)
        if (w->list[i].state == WORKERS_ENDED)
            pthread_join(w->list[i].thread, NULL);
    workers_leave(w, NULL);
    return true;
}
