/*
 * awaited.c: submits one request and waits for its reply; see awaited.h.
 *
 * The caller's deadline ends the wait even where the driver is busy, as when it looks up a host name: the caller
 * then takes the call back itself. Where the driver has taken the call already (TAKEN, but not done), done() is
 * about to be called, and the caller waits for that.
 */
#include "clients/c/client/awaited.h"

#include "clients/c/client/client_inner.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/reply.h"

static void awaited_done(struct call *call, const struct call_outcome *outcome)
{
    struct awaited *w = (struct awaited *)(void *)call; /* the call is its first member */
    struct hmq_client *c = w->client;
    struct hmq_reply *reply = NULL;
    enum hmq_status status = error_bytes(w->err, outcome->status, outcome->text);
    if (status == HMQ_OK && w->wants_reply) {
        reply = reply_copy(outcome->result);
        if (!reply)
            status = error_set(w->err, HMQ_EUNKNOWN,
                               "it was done, but there is no memory for the reply");
    }
    pthread_mutex_lock(&c->lock);
    w->status = status;
    w->reply = reply;
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&c->lock);
}

enum hmq_status awaited_init(struct awaited *w, struct hmq_client *c, int64_t timeout_ms,
                             hmq_error *err)
{
    if (!c)
        return error_set(err, HMQ_EINVAL, "the client is NULL");
    return awaited_init_of(w, c, &c->gate, NULL, timeout_ms, err);
}

enum hmq_status awaited_init_of(struct awaited *w, struct hmq_client *c, struct gate *gate, const void *owner,
                                int64_t timeout_ms, hmq_error *err)
{
    if (client_on_driver(c))
        return error_plain(err, HMQ_EWOULDBLOCK);
    if (!gate_enter(gate))
        return error_plain(err, HMQ_ECLOSED);
    *w = (struct awaited){.client = c, .gate = gate, .err = err};
    if (!clock_cond_init(&w->cond)) {
        gate_leave(gate, c);
        return error_plain(err, HMQ_ENOMEM);
    }
    call_init(&w->call, client_id(c), awaited_done);
    w->call.owner = owner;
    w->call.deadline_ms = client_deadline(c, timeout_ms);
    return HMQ_OK;
}

enum hmq_status awaited_drop(struct awaited *w, enum hmq_status status)
{
    call_fini(&w->call);
    pthread_cond_destroy(&w->cond);
    gate_leave(w->gate, w->client);
    return status;
}

/* True where the caller took the call back itself. */
static bool wait_for_answer(struct awaited *w)
{
    struct hmq_client *c = w->client;
    bool in_time = true;
    pthread_mutex_lock(&c->lock);
    while (!w->done && (in_time || w->call.state == CALL_TAKEN)) {
        if (in_time)
            in_time = clock_cond_wait(&w->cond, &c->lock, w->call.deadline_ms);
        else
            pthread_cond_wait(&w->cond, &c->lock);
    }
    bool cancelled = !w->done;
    if (cancelled) {
        core_cancel(&c->core, &w->call, c->line != LINE_DOWN);
        w->status = w->call.status;
    }
    pthread_mutex_unlock(&c->lock);
    if (cancelled)
        client_changed(c);
    return cancelled;
}

enum hmq_status awaited_run(struct awaited *w, struct hmq_reply **ret_reply)
{
    w->wants_reply = ret_reply != NULL;
    enum hmq_status status = client_submit(w->client, &w->call, 0);
    if (status != HMQ_OK)
        return awaited_drop(w, error_plain(w->err, status));
    if (wait_for_answer(w))
        client_explain(w->client, w->status, w->err);
    if (w->ended)
        w->ended(w);
    if (w->status == HMQ_OK && ret_reply)
        *ret_reply = w->reply;
    return awaited_drop(w, w->status);
}
