/*
 * dispatch.c: finds out whom a frame is for, and passes it on; see dispatch.h.
 *
 *   response      ─► done() of the call with that id; ignored where there is none, but a stream that it names is closed
 *   request check ─► the service that answers for the producer group; an error where none does
 *   another one   ─► an error
 *   notification  ─► the service whose stream it names; ignored where there is none, as the contract may grow
 */
#include "clients/c/client/dispatch.h"

#include "clients/c/client/client_inner.h"
#include "clients/c/client/respond.h"
#include "clients/c/client/service.h"

static void dispatch_response(struct hmq_client *c, const struct rpc_frame *frame)
{
    struct call_outcome outcome;
    int64_t now_us = client_heard_us(c);
    pthread_mutex_lock(&c->lock);
    struct call *call = core_answer(&c->core, frame, now_us / 1000, &outcome);
    bool stray = !call && core_is_stray(&c->core, frame->id);
    if (call) {
        client_ending(c);
        latency_add(&c->latency, now_us - call->begun_us, 1);
    }
    bool tell = c->core.pending == 0 || (c->waiting_for_room > 0 && core_is_roomy(&c->core));
    pthread_mutex_unlock(&c->lock);
    int64_t stream;
    if (stray && !frame->error && rpc_int(frame->result, &stream))
        (void)respond_stream(c, c->epoch, "stream_close", stream, -1);
    if (!call)
        return;
    c->inside++;
    call->done(call, &outcome);
    c->inside--;
    client_ended(c, tell);
}

static bool offer_check(struct service *s, void *arg)
{
    const struct rpc_frame *frame = arg;
    return s->check && s->check(s, frame->id, frame->params);
}

static void dispatch_request(struct hmq_client *c, struct rpc_frame *frame)
{
    if (!slice_equal(frame->method, SLICE_LIT("check"))) {
        respond_error(c, c->epoch, frame->id, "this client knows the method check only");
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->checks++;
    pthread_mutex_unlock(&c->lock);
    if (!service_visit(c, offer_check, frame))
        respond_error(c, c->epoch, frame->id, "this client does not serve this producer group");
}

static bool offer_notification(struct service *s, void *arg)
{
    const struct rpc_frame *frame = arg;
    return s->notify && s->notify(s, frame->method, frame->params);
}

void dispatch_frame(struct hmq_client *c, const struct rpc_frame *frame)
{
    struct rpc_frame copy = *frame;
    if (frame->type == RPC_RESPONSE)
        dispatch_response(c, frame);
    else if (frame->type == RPC_REQUEST)
        dispatch_request(c, &copy);
    else
        service_visit(c, offer_notification, &copy);
}
