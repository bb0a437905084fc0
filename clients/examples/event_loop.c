/*
 * event_loop.c: a client without threads, which runs in the application's own libevent loop.
 * `event_loop [topic]` sends ten messages, reads them back, and ends.
 *
 * Blocking calls would return HMQ_EWOULDBLOCK here; the asynchronous ones call back from the loop.
 */
#include <halfmq_libevent.h>
#include <stdio.h>

#define MESSAGES 10

struct app {
    struct event_base *base;
    hmq_client *client;
    hmq_producer *producer;
    const char *topic;
    int sent, failed;
};

static void on_popped(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct app *app = arg;
    if (err->code != HMQ_OK) {
        fprintf(stderr, "%s: %s\n", hmq_status_name(err->code), err->text);
        app->failed = 1;
    }
    for (size_t i = 0; i < hmq_reply_len(reply); i++) {
        const hmq_reply *message = hmq_reply_at(reply, i);
        printf("%s %s\n", hmq_reply_text(hmq_reply_get(message, "id")),
               hmq_reply_text(hmq_reply_get(message, "body")));
    }
    hmq_reply_free(reply);
    event_base_loopbreak(app->base);
}

/* Pops all messages. It builds the command from its words, which works for any command. */
static void pop_all(struct app *app)
{
    hmq_error err;
    hmq_request *request = hmq_request_new("pop");
    hmq_request_put_text(request, "group", "loop");
    hmq_request_put_text(request, "topic", app->topic);
    hmq_request_put_int(request, "count", MESSAGES);
    hmq_request_put_int(request, "wait", 1000);
    if (hmq_call_async(app->client, request, HMQ_DEFAULT, on_popped, app, &err) != HMQ_OK)
        on_popped(app, NULL, &err);
    hmq_request_free(request);
}

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct app *app = arg;
    if (!id) {
        fprintf(stderr, "%s: %s\n", hmq_status_name(err->code), err->text);
        app->failed = 1;
    }
    if (++app->sent == MESSAGES)
        pop_all(app);
}

static enum hmq_status send_all(struct app *app, hmq_error *err)
{
    char body[32];
    enum hmq_status status = HMQ_OK;
    for (int i = 0; i < MESSAGES && status == HMQ_OK; i++) {
        int n = snprintf(body, sizeof body, "from the loop %d", i);
        status = hmq_send_async(app->producer, app->topic, body, (size_t)n, NULL, HMQ_DEFAULT,
                                on_sent, app, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct app app = {.base = event_base_new(), .topic = argc > 1 ? argv[1] : "loops"};
    struct hmq_libevent *adapter = NULL;
    hmq_error err;
    if (app.base && hmq_libevent_new(app.base, NULL, &adapter, &app.client, &err) == HMQ_OK &&
        hmq_producer_new(app.client, NULL, &app.producer, &err) == HMQ_OK &&
        send_all(&app, &err) == HMQ_OK)
        event_base_dispatch(app.base);
    else
        app.failed = 1;
    hmq_producer_close(app.producer, 0, NULL);
    hmq_client_free(app.client);
    hmq_libevent_free(adapter);
    if (app.base)
        event_base_free(app.base);
    return app.failed;
}
