/*
 * calls.c: hmq_call and hmq_call_async, which send any command of the broker as the application built it,
 * and plain consuming: pop, ack, nack, extend, reject, each one blocking call.
 */
#include "clients/c/halfmq.h"

#include <stdlib.h>

#include "clients/c/client/awaited.h"
#include "clients/c/client/intercept.h"
#include "clients/c/wire/message.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"

/* ---- any command ---- */

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

struct calls_async {
    struct call call;
    hmq_reply_fn fn;
    void *arg;
};

static void calls_async_done(struct call *call, const struct call_outcome *outcome)
{
    struct calls_async *a = (struct calls_async *)(void *)call; /* the call is its first member */
    struct hmq_reply *reply = NULL;
    hmq_error err;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    if (status == HMQ_OK && a->fn) {
        reply = reply_copy(outcome->result);
        if (!reply)
            error_set(&err, HMQ_EUNKNOWN, "it was done, but there is no memory for the reply");
    }
    if (a->fn)
        a->fn(a->arg, reply, &err);
    call_fini(&a->call);
    free(a);
}

enum hmq_status hmq_call_async(hmq_client *c, const hmq_request *request, int64_t timeout_ms,
                               hmq_reply_fn fn, void *arg, hmq_error *err)
{
    struct calls_async *a = calloc(1, sizeof *a);
    if (!a)
        return error_plain(err, HMQ_ENOMEM);
    call_init(&a->call, client_id(c), calls_async_done);
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

/* ---- plain consuming ---- */

static enum hmq_status calls_check_list(const char *what, const char *const *texts, size_t n,
                                  hmq_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!texts || !texts[i])
            return error_set(err, HMQ_EINVAL, "%s %zu is NULL", what, i);
    return n ? HMQ_OK : error_set(err, HMQ_EINVAL, "no %s given", what);
}

enum hmq_status hmq_pop(hmq_client *c, const char *group, const char *const *topics,
                        size_t n_topics, size_t count, int64_t wait_ms, int64_t lease_ms,
                        hmq_batch **ret_batch, hmq_error *err)
{
    struct awaited w;
    struct hmq_reply *reply = NULL;
    if (!c || !group || !ret_batch || wait_ms < 0 ||
        calls_check_list("topic", topics, n_topics, err) != HMQ_OK)
        return error_set(err, HMQ_EINVAL,
                         "a pop needs a client, a group, topics and ret_batch");
    enum hmq_status status = awaited_init(&w, c, HMQ_DEFAULT, err);
    if (status != HMQ_OK)
        return status;
    w.call.deadline_ms += wait_ms < TIMEOUT_MS_MAX ? wait_ms : TIMEOUT_MS_MAX;
    request_begin(&w.call, "pop", 5);
    pair_text(&w.call.frame, "group", group);
    pair_texts(&w.call.frame, "topic", topics, n_topics);
    pair_int(&w.call.frame, "count", (int64_t)count);
    pair_int(&w.call.frame, "wait", wait_ms);
    pair_int(&w.call.frame, "lease",
             lease_ms < 0 ? options_num(client_options(c), CHOICE_lease_ms) : lease_ms);
    const struct interceptors interceptors = client_options(c)->interceptors; /* afterwards the client may be gone */
    status = awaited_run(&w, &reply);
    if (status != HMQ_OK)
        return status;
    status = batch_of(reply, ret_batch);
    if (status == HMQ_OK) {
        intercept_batch(&interceptors, *ret_batch);
        return HMQ_OK;
    }
    hmq_reply_free(reply);
    return error_set(err, status, "%s",
                     status == HMQ_ENOMEM ? "no memory for the messages of the reply"
                                          : "the broker's reply to a pop is not valid");
}

enum hmq_status hmq_ack(hmq_client *c, const char *group, const char *const *receipts, size_t n,
                        int64_t timeout_ms, size_t *ret_count, hmq_error *err)
{
    struct awaited w;
    struct hmq_reply *reply = NULL;
    enum hmq_status status = calls_check_list("receipt", receipts, n, err);
    if (status == HMQ_OK && !group)
        status = error_set(err, HMQ_EINVAL, "the group is NULL");
    if (status == HMQ_OK)
        status = awaited_init(&w, c, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    request_begin(&w.call, "ack", 2);
    pair_text(&w.call.frame, "group", group);
    pair_texts(&w.call.frame, "receipt", receipts, n);
    w.call.kind = CALL_ENDING;
    w.call.repeat = CALL_AGAIN_BUSY;
    status = awaited_run(&w, &reply);
    if (status == HMQ_OK && ret_count)
        *ret_count = (size_t)reply_uint(reply);
    hmq_reply_free(reply);
    return status;
}

/* NACK, EXTEND or REJECT: a receipt, and perhaps a number and a text. */
struct receipt_request {
    const char *method;
    const char *number_name;
    int64_t number; /* < 0: left out */
    const char *text_name;
    const char *text; /* NULL: left out */
};

static enum hmq_status calls_about_receipt(hmq_client *c, const struct receipt_request *a, const char *group,
                                     const char *receipt, int64_t timeout_ms, bool repeat,
                                     hmq_error *err)
{
    struct awaited w;
    if (!group || !receipt)
        return error_set(err, HMQ_EINVAL, "%s needs a group and a receipt", a->method);
    enum hmq_status status = awaited_init(&w, c, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    request_begin(&w.call, a->method, 2u + (a->number >= 0) + (a->text != NULL));
    pair_text(&w.call.frame, "group", group);
    pair_text(&w.call.frame, "receipt", receipt);
    if (a->number >= 0)
        pair_int(&w.call.frame, a->number_name, a->number);
    if (a->text)
        pair_text(&w.call.frame, a->text_name, a->text);
    w.call.kind = CALL_ENDING;
    w.call.repeat = repeat ? CALL_AGAIN_BUSY : CALL_ONCE;
    return awaited_run(&w, NULL);
}

enum hmq_status hmq_nack(hmq_client *c, const char *group, const char *receipt, int64_t delay_ms,
                         const char *reason, int64_t timeout_ms, hmq_error *err)
{
    struct receipt_request a = {"nack", "delay", delay_ms, "reason", reason};
    return calls_about_receipt(c, &a, group, receipt, timeout_ms, false, err);
}

enum hmq_status hmq_extend(hmq_client *c, const char *group, const char *receipt, int64_t lease_ms,
                           int64_t timeout_ms, hmq_error *err)
{
    struct receipt_request a = {"extend", "dur", lease_ms < 0 ? 0 : lease_ms, NULL, NULL};
    return calls_about_receipt(c, &a, group, receipt, timeout_ms, true, err);
}

enum hmq_status hmq_reject(hmq_client *c, const char *group, const char *receipt,
                           const char *reason, int64_t timeout_ms, hmq_error *err)
{
    struct receipt_request a = {"reject", NULL, -1, "reason", reason};
    return calls_about_receipt(c, &a, group, receipt, timeout_ms, false, err);
}
