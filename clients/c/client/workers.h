/*
 * workers.h: n threads that run tasks from one bounded queue, first in, first out. A task is part of its owner's
 * structure; run() may free that.
 *
 *   run():  our code ── workers_outside ─► the application's code ── workers_inside ─► our code
 *
 * The application's code may hang, ours does not. So an owner that is to be closed in time waits for what is inside, and
 * abandons what is outside (workers_abandon): such a thread drops its result when it comes back, and the last one of
 * them frees the owner. The threads have the signal mask of the thread that started them: their code is the
 * application's, and so are the processes that it starts.
 */
#ifndef HALFMQ_CLIENTS_C_WORKERS_H
#define HALFMQ_CLIENTS_C_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct task {
    TAILQ_ENTRY(task) link;
};

TAILQ_HEAD(task_list, task);

enum workers_state {
    WORKERS_LIVE,
    WORKERS_ENDED, /* it only has to return */
    WORKERS_DETACHED /* abandoned */
};

struct workers_one {
    struct workers *owner;
    pthread_t thread;
    enum workers_state state;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t more; /* tasks, or the end */
    pthread_cond_t settled; /* alive == outside */
    struct task_list tasks;
    size_t n_tasks, max_tasks;
    void (*run)(struct task *task, void *arg); /* on a worker thread */
    void (*gone)(void *arg); /* called by a worker, on its thread, as the last thing; may be NULL */
    void *arg;
    bool stopping;
    void (*last)(void *arg); /* abandoned: frees the owner; else NULL */
    size_t alive; /* workers that have not ended */
    size_t outside; /* of these, in the application's code */
    size_t n; /* threads to join */
    struct workers_one *list;
};

/* Starts n threads. False: no memory or no threads; then nothing is left behind. */
bool workers_start(struct workers *w, size_t n, size_t max_tasks,
                   void (*run)(struct task *task, void *arg), void (*gone)(void *arg), void *arg);

/* False: the queue is full, or the workers are stopping. */
bool workers_push(struct workers *w, struct task *task);

/* Queues n tasks, as many as there is room for; the others stay in the list. */
void workers_push_all(struct workers *w, struct task_list *tasks, size_t n);

/* In run(): gives tasks back that it took, before all others, where the workers are not stopping. What is left in the list is
 * the caller's. */
void workers_push_first(struct workers *w, struct task_list *tasks);

/* Takes back all tasks that no worker has. */
void workers_take_back(struct workers *w, struct task_list *ret_tasks);

/* In run(): takes tasks that weigh n together, or more with the last one, which come within the deadline (clock_ms). */
void workers_take_more(struct workers *w, struct task_list *tasks, size_t n, size_t (*weight)(const struct task *task),
                       int64_t deadline_ms);

/* True on one of their threads. */
bool workers_here(const struct workers *w);

/* No further task is begun. */
void workers_halt(struct workers *w);

/* After workers_halt: true where every worker has ended. */
bool workers_gone(struct workers *w);

/* Around the application's code, in run(). workers_inside answers false where the workers were abandoned meanwhile: then
 * run() touches nothing but the task, frees that, and returns. */
void workers_outside(struct workers *w);
bool workers_inside(struct workers *w);

/*
 * Halts, and waits until the threads are in the application's code, or have ended. True: some are there. They are
 * abandoned, and the last one calls last(arg), which may free everything. False: none is; the threads are joined, and
 * last is not called. Tasks that were not begun go to *ret_left, in both cases.
 */
bool workers_abandon(struct workers *w, void (*last)(void *arg), struct task_list *ret_left);

/* Halts, waits for the running tasks and joins the threads. Tasks that were not begun go to *ret_left. */
void workers_stop(struct workers *w, struct task_list *ret_left);

#endif
