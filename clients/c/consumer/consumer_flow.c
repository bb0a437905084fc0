/*
 * consumer_flow.c: requests of a consumer: making, counting and ending them; see consumer_flow.h.
 */
#include "clients/c/consumer/consumer_flow.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/wire/clock.h"

struct flow_call *flow_call(struct hmq_consumer *c, flow_done *done)
{
    struct flow_call *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    call_init(&f->call, client_id(c->client), done);
    f->call.deadline_ms = client_deadline(c->client, HMQ_DEFAULT);
    f->call.owner = c;
    f->call.kind = CALL_ENDING; /* they end or keep what the consumer holds, and there are no more than that */
    f->consumer = c;
    f->sent_ms = clock_ms();
    return f;
}

void flow_drop(struct flow_call *f)
{
    call_fini(&f->call);
    free(f);
}

bool flow_submit(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    c->calls++;
    if (client_submit(c->client, &f->call, 0) == HMQ_OK)
        return true;
    c->calls--;
    flow_drop(f);
    return false;
}

void flow_end(struct flow_call *f)
{
    struct hmq_consumer *c = f->consumer;
    struct hmq_client *client = c->client;
    c->pump(c);
    c->calls--;
    bool tell = c->state != CONSUMER_RUNNING;
    pthread_mutex_unlock(&c->lock);
    /* From here on the consumer may be gone. */
    flow_drop(f);
    if (tell)
        client_changed(client);
}

void flow_tell(const struct flow_call *f, enum hmq_status status, struct slice text)
{
    hmq_error err;
    if (!f->ended)
        return;
    if (text.len > 0)
        error_bytes(&err, status, text);
    else
        error_plain(&err, status);
    f->ended(f->ended_arg, &err);
}

void flow_trouble(struct hmq_consumer *c, const char *what, enum hmq_status status,
                  struct slice said)
{
    char text[HMQ_ERROR_TEXT_SIZE];
    if (status < HMQ_EREFUSED)
        return;
    snprintf(text, sizeof text, "%s, group %s: %.*s", what, c->group, (int)said.len,
             (const char *)said.data);
    client_event(c->client, HMQ_EVENT_TROUBLE, text);
}
