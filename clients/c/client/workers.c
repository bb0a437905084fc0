/* workers.c: the worker threads and the bounded queue that they take tasks from. */
#include "clients/c/client/workers.h"

#include <signal.h>
#include <stdlib.h>

/* The next task; NULL: the end. */
static struct task *next_task(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->stopping && TAILQ_EMPTY(&w->tasks))
        pthread_cond_wait(&w->more, &w->lock);
    struct task *task = w->stopping ? NULL : TAILQ_FIRST(&w->tasks);
    if (task) {
        TAILQ_REMOVE(&w->tasks, task, link);
        w->n_tasks--;
    } else {
        w->alive--;
    }
    pthread_mutex_unlock(&w->lock);
    return task;
}

static void *worker_main(void *arg)
{
    struct workers *w = arg;
    struct task *task;
    while ((task = next_task(w)))
        w->run(task, w->arg);
    if (w->gone)
        w->gone(w->arg);
    return NULL;
}

static bool start_threads(struct workers *w, size_t n)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    while (w->n < n) {
        pthread_mutex_lock(&w->lock);
        w->alive++;
        pthread_mutex_unlock(&w->lock);
        if (pthread_create(&w->threads[w->n], NULL, worker_main, w) != 0)
            break;
        w->n++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w->n == n;
}

bool workers_start(struct workers *w, size_t n, size_t max_tasks,
                   void (*run)(struct task *task, void *arg), void (*gone)(void *arg), void *arg)
{
    *w = (struct workers){.run = run, .gone = gone, .arg = arg, .max_tasks = max_tasks};
    TAILQ_INIT(&w->tasks);
    w->threads = calloc(n, sizeof *w->threads);
    if (!w->threads)
        return false;
    if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_cond_init(&w->more, NULL) != 0) {
        free(w->threads);
        return false;
    }
    if (start_threads(w, n))
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

bool workers_here(const struct workers *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (pthread_equal(w->threads[i], pthread_self()))
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
        pthread_join(w->threads[i], NULL);
    TAILQ_INIT(ret_left);
    TAILQ_CONCAT(ret_left, &w->tasks, link);
    free(w->threads);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
}
