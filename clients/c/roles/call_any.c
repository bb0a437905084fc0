/*
 * call_any.c: hmq_call and hmq_call_async: any command of the broker, as the application built it.
 */
#include "clients/c/halfmq.h"

#include <stdlib.h>

#include "clients/c/client/awaited.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"

enum hmq_status hmq_call(hmq_client *c, const hmq_request *request, int64_t timeout_ms,
                         hmq_reply **ret_reply, hmq_error *err)
{
    struct awaited w;
    enum hmq_status status = awaited_init(&w, c, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    status = request_encode(request, &w.call, err);
    return status == HMQ_OK ? awaited_run(&w, ret_reply) : awaited_drop(&w, status);
}

struct async_call {
    struct call call;
    hmq_reply_fn fn;
    void *arg;
};

static void async_done(struct call *call, const struct call_outcome *outcome)
{
    struct async_call *a = (struct async_call *)(void *)call; /* the call is its first member */
    struct hmq_reply *reply = NULL;
    hmq_error err;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    if (status == HMQ_OK && a->fn) {
        reply = reply_copy(outcome->result);
        if (!reply)
            error_set(&err, HMQ_EUNKNOWN, "it was done, but there is no memory for the answer");
    }
    if (a->fn)
        a->fn(a->arg, reply, &err);
    call_fini(&a->call);
    free(a);
}

enum hmq_status hmq_call_async(hmq_client *c, const hmq_request *request, int64_t timeout_ms,
                               hmq_reply_fn fn, void *arg, hmq_error *err)
{
    struct async_call *a = calloc(1, sizeof *a);
    if (!a)
        return error_plain(err, HMQ_ENOMEM);
    call_init(&a->call, client_id(c), async_done);
    a->call.deadline_ms = client_deadline(c, timeout_ms);
    a->fn = fn;
    a->arg = arg;
    enum hmq_status status = request_encode(request, &a->call, err);
    if (status == HMQ_OK) {
        status = client_submit(c, &a->call, 0);
        error_plain(err, status);
    }
    if (status != HMQ_OK) {
        call_fini(&a->call);
        free(a);
    }
    return status;
}
