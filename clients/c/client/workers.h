/*
 * workers.h: n threads that run tasks from one bounded queue, first in, first out. A task is part of its owner's
 * structure; run() may free that.
 */
#ifndef HALFMQ_CLIENTS_C_WORKERS_H
#define HALFMQ_CLIENTS_C_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct task {
    TAILQ_ENTRY(task) link;
};

TAILQ_HEAD(task_list, task);

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct task_list tasks;
    size_t n_tasks, max_tasks;
    void (*run)(struct task *task, void *arg); /* on a worker thread */
    void (*gone)(void *arg); /* called by a worker, on its thread, as the last thing; may be NULL */
    void *arg;
    bool stopping;
    size_t alive; /* workers that have not ended */
    size_t n; /* threads to join */
    pthread_t *threads;
};

/* Starts n threads. False: no memory or no threads; then nothing is left behind. */
bool workers_start(struct workers *w, size_t n, size_t max_tasks,
                   void (*run)(struct task *task, void *arg), void (*gone)(void *arg), void *arg);

/* False: the queue is full, or the workers are stopping. */
bool workers_push(struct workers *w, struct task *task);

/* Queues n tasks, as many as there is room for; the others stay in the list. */
void workers_push_all(struct workers *w, struct task_list *tasks, size_t n);

/* True on one of their threads. */
bool workers_here(const struct workers *w);

/* No further task is begun. */
void workers_halt(struct workers *w);

/* After workers_halt: true where every worker has ended. */
bool workers_gone(struct workers *w);

/* Halts, waits for the running tasks and joins the threads. Tasks that were not begun go to *ret_left. */
void workers_stop(struct workers *w, struct task_list *ret_left);

#endif
