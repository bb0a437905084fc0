/*
 * awaited.h: one request whose caller waits for the reply; it lives on the caller's stack.
 *
 *   awaited_init ─► write the frame into w.call ─► awaited_run (submits, waits)
 */
#ifndef HALFMQ_CLIENTS_C_AWAITED_H
#define HALFMQ_CLIENTS_C_AWAITED_H

#include <pthread.h>

#include "clients/c/client/client.h"
#include "clients/c/client/gate.h"

struct awaited {
    struct call call;
    struct gate *gate; /* that the caller is inside of */
    struct hmq_client *client;
    pthread_cond_t cond;
    hmq_error *err; /* the caller's; may be NULL */
    struct hmq_reply *reply;
    enum hmq_status status;
    bool wants_reply, done;
    void (*ended)(struct awaited *w); /* its status is known, and the gate not left; or NULL */
};

/* HMQ_EWOULDBLOCK on the driver thread; HMQ_ECLOSED. After HMQ_OK, call awaited_run or awaited_drop. */
enum hmq_status awaited_init(struct awaited *w, struct hmq_client *c, int64_t timeout_ms,
                             hmq_error *err);

/* The same for a request of a role, whose gate is entered; owner: for client_cancel_owned. */
enum hmq_status awaited_init_of(struct awaited *w, struct hmq_client *c, struct gate *gate, const void *owner,
                                int64_t timeout_ms, hmq_error *err);

/* Submits, waits, and frees what awaited_init made. ret_reply may be NULL; where it is not and this returns HMQ_OK,
 * *ret_reply is the caller's to free. */
enum hmq_status awaited_run(struct awaited *w, struct hmq_reply **ret_reply);

/* Frees what awaited_init made, where the frame could not be written. Returns the status. */
enum hmq_status awaited_drop(struct awaited *w, enum hmq_status status);

#endif
