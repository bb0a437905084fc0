/*
 * serve.c: the two tables that broker/net calls (net.h says when), and nothing that decides anything.
 */
#include "broker/serve/serve.h"

#include <stdlib.h>

#include "broker/serve/checkback.h"
#include "broker/serve/client_list.h"
#include "broker/serve/delivery.h"
#include "broker/serve/dispatch.h"
#include "broker/serve/giveback.h"
#include "broker/serve/local/local.h"
#include "broker/serve/login/audit.h"
#include "broker/serve/login/login.h"
#include "broker/serve/long_reply.h"
#include "broker/serve/multi/exec.h"
#include "broker/serve/multi/multi.h"
#include "broker/serve/pubsub.h"
#include "broker/serve/session.h"
#include "broker/serve/sieve.h"
#include "broker/serve/stream.h"
#include "broker/serve/wait.h"
#include "broker/serve/who/allow.h"
#include "broker/serve/who/revoke.h"
#include "broker/serve/who/who.h"

/* ---- sessions ---- */

static void serve_sent(struct conn *c)
{
    struct session *s = session_of(c);
    marks_sent(&s->marks, c->sent);
    deliveries_sent(c);
    conn_need(c, CONN_COUNTS_SENT, s->marks.n > 0 || s->delivering.n > 0);
    if (s->delivering.n || s->charged) /* mostly all is sent at once, and nothing was charged */
        session_charge(c);
}

/* It begins anew, as the user that the client's certificate names. */
static void serve_certified(struct conn *c, struct slice name)
{
    char *copy = strndup((const char *)name.data, name.len);
    if (!copy) {
        conn_cut(c, "closing a connection: no memory for its user");
        return;
    }
    session_of(c)->certified = copy;
    session_begin(c);
    if (!session_user(c).len)
        audit_login_failed(c, name, "the certificate names nobody, or a user that is off, or has too many connections");
}

static void serve_input_ended(struct conn *c)
{
    waits_end(c);
    streams_close(c);
}

static void serve_shut(struct conn *c)
{
    channels_leave(&session_of(c)->subscriber);
    giveback_asks(c);
    streams_close(c);
}

static void serve_gone(struct conn *c)
{
    struct session *s = session_of(c);
    dispatch_drop(c); /* some are of waits */
    waits_drop(c);
    channels_leave(&s->subscriber);
    streams_close(c);
    long_reply_drop(c);
    client_list_drop(c);
    exec_drop(c);
    giveback_marks(c->loop, &s->marks);
    deliveries_give_back(c);
    conn_need(c, CONN_COUNTS_SENT, false);
    marks_fini(&s->marks);
    asks_fini(&s->asks);
    free(s->certified);
    session_charge(c);
    login_drop(c);
    who_leave(c);
}

static bool serve_listens(const struct conn *c)
{
    const struct session *s = (const struct session *)(const void *)c->session;
    return s->subscriber.n > 0 || s->n_streams > 0 || s->n_waits > 0 || s->asks.n > 0;
}

static void serve_trim(struct conn *c)
{
    struct session *s = session_of(c);
    asks_trim(&s->asks);
    exec_look(c);
    if (!s->marks.n)
        marks_fini(&s->marks);
    session_charge(c);
    if (s->n_streams)
        record_cache_empty(serve_of(c->loop)->records);
}

const struct session_ops serve_sessions = {
    .size = sizeof(struct session),
    .opened = session_begin,
    .command = dispatch,
    .hides = allow_hides,
    .refused = multi_refused,
    .response = checkback_answer,
    .pump = streams_pump,
    .has_room = streams_have_room,
    .sent = serve_sent,
    .certified = serve_certified,
    .input_ended = serve_input_ended,
    .shut = serve_shut,
    .doomed = giveback_asks,
    .gone = serve_gone,
    .listens = serve_listens,
    .trim = serve_trim,
};

/* ---- loops ---- */

static void *serve_open(struct loop *l, const void *arg)
{
    struct serve_loop *sl = calloc(1, sizeof *sl);
    if (!sl)
        return NULL;
    sl->env = *(const struct serve_env *)arg;
    waiters_init(&sl->waiters, &l->timers);
    long_replies_init(&sl->long_replies, dispatch_go_on, checkback_pushed);
    submit_late_init(&sl->late);
    sl->records = record_cache_new();
    execs_init(&sl->execs, local_run);
    channels_init(&sl->channels, l, sl->env.members, pubsub_copy, checkback_pull);
    return sl;
}

static void serve_close(struct loop *l)
{
    submit_late_fini(&serve_of(l)->late);
    sieve_fini(l);
    waiters_fini(&serve_of(l)->waiters);
    channels_fini(&serve_of(l)->channels);
    users_release(serve_of(l)->users);
    record_cache_free(serve_of(l)->records);
    free(l->serve);
}

static bool serve_wants_news(struct loop *l)
{
    return serve_of(l)->waiters.n > 0 || serve_of(l)->channels.all.n > 0;
}

static void serve_news(struct loop *l, const struct news *news)
{
    revoke_all(l);
    waiters_news(&serve_of(l)->waiters, news);
    channels_news(&serve_of(l)->channels, news);
}

static void serve_woken(struct loop *l)
{
    waiters_run(&serve_of(l)->waiters, l);
}

static bool serve_run(struct loop *l)
{
    bool replies = long_replies_run(l), lists = client_lists_run(l), execs = execs_run(l), sifts = sieve_run(l);
    return channels_run(&serve_of(l)->channels) || replies || lists || execs || sifts;
}

const struct loop_ops serve_loops = {
    .open = serve_open,
    .close = serve_close,
    .wants_news = serve_wants_news,
    .news = serve_news,
    .woken = serve_woken,
    .run = serve_run,
};
