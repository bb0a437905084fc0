/* fake.c: a listening socket that answers libhalfmq with whatever bytes a test chooses. */
#include "tests/lib/fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fake_start(void **state)
{
    struct fake *p = calloc(1, sizeof *p);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    assert_non_null(p);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->fd = -1;
    assert_int_equal(bind(p->listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&any, &size), 0);
    p->port = ntohs(any.sin_port);
    buf_init(&p->in, 0);
    *state = p;
    return 0;
}

void fake_hang_up(struct fake *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    rpc_reader_free(p->reader);
    p->reader = NULL;
    p->used = 0;
    buf_reset(&p->in, 0);
}

int fake_stop(void **state)
{
    struct fake *p = *state;
    fake_hang_up(p);
    close(p->listener);
    buf_free(&p->in);
    free(p);
    return 0;
}

static void fake_wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, RIG_DEADLINE_MS), 1);
}

void fake_answer_call(struct fake *p)
{
    fake_wait_readable(p->listener);
    p->fd = accept(p->listener, NULL, NULL);
    assert_true(p->fd >= 0);
    p->reader = rpc_reader_new(1 << 20);
    assert_non_null(p->reader);
}

/* Waits for the next request of the client. */
void fake_hear(struct fake *p)
{
    char err[128];
    enum status status;
    buf_consume(&p->in, p->used);
    while ((status = rpc_reader_next(p->reader, buf_slice(&p->in), &p->frame, &p->used, err,
                                     sizeof err)) == ST_MORE) {
        fake_wait_readable(p->fd);
        uint8_t *room = buf_room(&p->in, 4096);
        ssize_t n = recv(p->fd, room, 4096, 0);
        assert_true(n > 0);
        buf_added(&p->in, (size_t)n);
    }
    assert_int_equal(status, ST_OK);
}

void fake_say(struct fake *p, const void *bytes, size_t n)
{
    assert_int_equal(send(p->fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

void fake_answer(struct fake *p)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_str(&b, SLICE_LIT("t:0:0"));
    fake_say(p, b.data, b.len);
    buf_free(&b);
}

void fake_on_event(void *arg, enum hmq_event event, const char *text)
{
    struct fake_events *e = arg;
    assert_non_null(text);
    switch (event) {
    case HMQ_EVENT_CONNECTED: atomic_fetch_add(&e->connected, 1); break;
    case HMQ_EVENT_DISCONNECTED: atomic_fetch_add(&e->disconnected, 1); break;
    case HMQ_EVENT_CONNECT_FAILED: atomic_fetch_add(&e->failed, 1); break;
    case HMQ_EVENT_TROUBLE: atomic_fetch_add(&e->trouble, 1); break;
    }
}

hmq_client *fake_client_of(struct fake *p, const char *query)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, query);
    hmq_options_set_event_fn(o, fake_on_event, &p->events);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

void fake_on_reply(void *arg, hmq_reply *reply, const hmq_error *err)
{
    struct fake_result *r = arg;
    pthread_mutex_lock(&r->lock);
    r->n++;
    r->last = err->code;
    snprintf(r->text, sizeof r->text, "%s", err->text);
    pthread_mutex_unlock(&r->lock);
    hmq_reply_free(reply);
}

void fake_on_sent(void *arg, const char *id, const hmq_error *err)
{
    assert_int_equal(id != NULL, err->code == HMQ_OK);
    fake_on_reply(arg, NULL, err);
}

bool fake_ended(void *arg)
{
    struct fake_result *r = arg;
    pthread_mutex_lock(&r->lock);
    bool yes = r->n > 0;
    pthread_mutex_unlock(&r->lock);
    return yes;
}
