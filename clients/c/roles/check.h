/*
 * check.h: answering the broker's check-backs for one producer group.
 *
 *   connected, or made ─► checks_serve ─► the broker sends `check` requests on this connection
 *   request ─► copied, queued ─► worker: the application's callback ─► response on that connection
 *
 * Bounds: CHECKS_MAX checks wait for a worker, within the client's memory. Further ones are answered "unknown", and the broker asks again.
 */
#ifndef HALFMQ_CLIENTS_C_CHECK_H
#define HALFMQ_CLIENTS_C_CHECK_H

#include <stdatomic.h>

#include "clients/c/client/service.h"
#include "clients/c/client/workers.h"
#include "clients/c/wire/reply.h"

#define CHECKS_MAX 4096

struct checker {
    struct service service;
    struct hmq_client *client;
    char *pgroup;
    hmq_check_fn fn;
    void *arg;
    struct workers workers;
    /* driver thread only, except that checker_free reads the counter */
    _Atomic uint32_t asked_epoch; /* the connection on which checks_serve was sent; 0: none. A late reply writes it while it is closed */
    int64_t retry_ms; /* checks_serve is not sent before this time */
    atomic_int open; /* checks_serve and checks_unserve requests under way */
    atomic_bool leaving; /* checker_free was called: serves no more */
};

struct checker *checker_new(struct hmq_client *c, const char *pgroup, hmq_check_fn fn, void *arg,
                            size_t n_workers, hmq_error *err);

/* Tells the broker to ask others, and waits for callbacks that run, until the deadline. False: some still run; they are
 * abandoned, and what they return is dropped. Checks that wait are answered with an error, so that the broker asks
 * another member at once. NULL is fine. */
bool checker_free(struct checker *k, int64_t deadline_ms);

#endif
