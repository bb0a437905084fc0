/*
 * check.h: answering the broker's check-backs for one producer group.
 *
 *   connected, or made ─► checks_serve ─► the broker sends `check` requests on this connection
 *   request ─► copied, queued ─► worker: the application's callback ─► response on that connection
 *
 * Bounds: CHECKS_MAX wait here; what comes beyond that is answered "unknown" and asked again later.
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
    /* driver thread only, but for the counter's last look */
    uint32_t asked_epoch; /* the connection on which checks_serve was sent; 0: none */
    int64_t retry_ms; /* not before this */
    atomic_int open; /* checks_serve requests under way */
};

struct checker *checker_new(struct hmq_client *c, const char *pgroup, hmq_check_fn fn, void *arg,
                            size_t n_workers, hmq_error *err);

/* Waits for callbacks that run; checks that wait are left to be asked again. NULL is fine. */
void checker_free(struct checker *k);

#endif
