/*
 * respond.c: writes responses and notifications for one connection, and drops those whose connection has gone
 * (respond.h).
 */
#include "clients/c/client/respond.h"

#include <stdlib.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/request.h"

static void note_done(struct call *call, const struct call_outcome *outcome)
{
    (void)outcome;
    call_fini(call);
    free(call);
}

static struct call *note_new(void)
{
    struct call *call = malloc(sizeof *call);
    if (!call)
        return NULL;
    call_init(call, 0, note_done);
    call->kind = CALL_NOTE;
    return call;
}

bool respond_submit(struct hmq_client *c, uint32_t epoch, struct call *call)
{
    pthread_mutex_lock(&c->lock);
    bool same = c->line != LINE_DOWN && c->epoch == epoch && !c->stopping;
    int64_t now_ms = clock_ms();
    enum hmq_status status = HMQ_EDISCONNECTED;
    if (same)
        status = call->frame.failed ? HMQ_ENOMEM : core_submit(&c->core, call, now_ms, 0);
    bool taken = status == HMQ_OK;
    c->flooded = c->flooded || status == HMQ_EAGAIN;
    if (taken || c->flooded)
        watch_wake_locked(c, now_ms);
    pthread_mutex_unlock(&c->lock);
    if (!taken)
        note_done(call, NULL);
    return taken;
}

bool respond_lives(struct hmq_client *c, uint32_t epoch)
{
    pthread_mutex_lock(&c->lock);
    bool lives = c->line != LINE_DOWN && c->epoch == epoch;
    pthread_mutex_unlock(&c->lock);
    return lives;
}

void respond_text(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text)
{
    struct call *call = note_new();
    if (!call)
        return;
    rpc_put_result(&call->frame, id);
    rpc_put_str(&call->frame, slice_str(text));
    (void)respond_submit(c, epoch, call); /* the broker asks again */
}

void respond_error(struct hmq_client *c, uint32_t epoch, uint64_t id, const char *text)
{
    struct call *call = note_new();
    if (!call)
        return;
    rpc_put_error(&call->frame, id, "ERR", slice_str(text));
    (void)respond_submit(c, epoch, call);
}

struct call *respond_notify(const char *method)
{
    struct call *call = note_new();
    if (call) {
        rpc_put_notify(&call->frame, method);
        rpc_put_list(&call->frame, 1);
    }
    return call;
}

bool respond_stream(struct hmq_client *c, uint32_t epoch, const char *method, int64_t stream,
                    int64_t credit)
{
    struct call *note = respond_notify(method);
    if (!note)
        return false;
    rpc_put_map(&note->frame, credit < 0 ? 1 : 2);
    pair_int(&note->frame, "stream", stream);
    if (credit >= 0)
        pair_int(&note->frame, "credit", credit);
    return respond_submit(c, epoch, note);
}
