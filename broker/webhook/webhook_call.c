/*
 * webhook_call.c: runs a call as a chain of steps, each begun from the event loop itself.
 *
 *   libevent's callbacks only note what has happened and activate `step`. Objects of libevent are freed there and never
 *   inside their own callbacks. `deadline` bounds the whole call.
 *
 * Whether a request was sent is seen at the connection's output: bytes have left it.
 *
 * A connection that was kept may be dead without our knowing: the other side has just closed it, and what we send goes
 * nowhere. So when a kept connection breaks before a byte of an answer has come, the request is sent once more, on a
 * new connection, and the outcome of that one counts. The service may have read the first request all the same. That
 * does no harm: an ask changes nothing in the broker before it is answered, and both requests have the same
 * Idempotency-Key, by which the service knows that they are one. A time-out is not such a break: the service may be
 * at work on the request.
 */
#include "broker/webhook/webhook_call.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "broker/webhook/webhook_sign.h"
#include "halfmq_version.h"

struct webhook_call {
    struct webhook_post post;
    struct webhook_url url;
    char key[48];
    char signature[WEBHOOK_SIGNATURE_SIZE]; /* "": none */
    struct buf body;
    struct event *step, *deadline;
    struct lookup *lookup;
    struct sockaddr_storage addresses[WEBHOOK_ADDRESSES_MAX];
    unsigned n_addresses, at; /* at: the next one to try */
    struct pool_link *link; /* NULL: not begun, or between two */
    bool waited; /* link was kept in the pool before */
    bool begun;  /* the request was put on link */
    bool sent; /* bytes of the request have left */
    bool broke; /* the connection ended before an answer was whole */
    bool keep; /* the service keeps it open */
    bool over; /* time is up: step tries nothing any more */
    int status; /* 0: no answer */
    struct buf answer;
    const char *why;
};

static void webhook_call_disconnect(struct webhook_call *call)
{
    if (call->link)
        pool_link_free(call->link);
    call->link = NULL;
}

void webhook_call_free(struct webhook_call *call)
{
    if (call->lookup)
        lookup_cancel(call->lookup);
    webhook_call_disconnect(call);
    if (call->step)
        event_free(call->step);
    if (call->deadline)
        event_free(call->deadline);
    buf_free(&call->body);
    buf_free(&call->answer);
    free(call);
}

static void webhook_call_finish(struct webhook_call *call)
{
    struct webhook_answer answer = {.end = call->status ? CALL_ANSWERED
                                           : call->sent ? CALL_UNANSWERED
                                                        : CALL_NOT_CONNECTED,
                                    .status = call->status,
                                    .body = buf_slice(&call->answer),
                                    .why = call->why};
    void (*done)(void *arg, const struct webhook_answer *answer) = call->post.done;
    void *arg = call->post.arg;
    done(arg, &answer);
    webhook_call_free(call);
}

static void webhook_call_go_on(struct webhook_call *call, const char *why)
{
    if (why)
        call->why = why;
    event_active(call->step, EV_TIMEOUT, 0);
}

static void webhook_call_on_found(void *arg, const struct evutil_addrinfo *addresses, const char *why);

/* ---- the request ---- */

static const char *webhook_call_text_of(enum evhttp_request_error error)
{
    switch (error) {
    case EVREQ_HTTP_TIMEOUT: return "no response in time";
    case EVREQ_HTTP_EOF: return "the connection was closed before the response was complete";
    case EVREQ_HTTP_INVALID_HEADER: return "the response is not HTTP";
    case EVREQ_HTTP_BUFFER_ERROR: return "the connection was lost";
    case EVREQ_HTTP_REQUEST_CANCEL: return "cancelled";
    case EVREQ_HTTP_DATA_TOO_LONG: return "the response is too long";
    }
    return "no response";
}

static void webhook_call_on_error(enum evhttp_request_error error, void *arg)
{
    struct webhook_call *call = arg;
    call->why = webhook_call_text_of(error);
    call->broke = error == EVREQ_HTTP_EOF || error == EVREQ_HTTP_BUFFER_ERROR;
}

/* HTTP/1.1 keeps a connection open unless a header says otherwise, which libevent obeys; 1.0 only if a header says
 * so. */
static bool webhook_call_keeps_open(struct evhttp_request *req)
{
    const char *said = evhttp_find_header(evhttp_request_get_input_headers(req), "Connection");
    return req->major > 1 || req->minor > 0 || (said && strcasecmp(said, "keep-alive") == 0);
}

/* libevent takes the first Content-Length. A proxy in between may have taken another one, and then the body is not what
 * the service sent. */
static bool webhook_call_has_two_lengths(struct evhttp_request *req)
{
    unsigned n = 0;
    const struct evkeyval *header = evhttp_request_get_input_headers(req)->tqh_first;
    for (; header; header = header->next.tqe_next)
        n += strcasecmp(header->key, "Content-Length") == 0;
    return n > 1;
}

/* req NULL: webhook_call_on_error has noted why. Status 0: there was no connection. */
static void webhook_call_on_answer(struct evhttp_request *req, void *arg)
{
    struct webhook_call *call = arg;
    call->status = req ? evhttp_request_get_response_code(req) : 0;
    if (call->status && webhook_call_has_two_lengths(req)) {
        call->status = 0;
        call->why = "the answer has two Content-Length headers";
    } else if (call->status) {
        call->keep = webhook_call_keeps_open(req);
        struct evbuffer *in = evhttp_request_get_input_buffer(req);
        size_t n = evbuffer_get_length(in);
        uint8_t *room = buf_room(&call->answer, n);
        if (room && evbuffer_copyout(in, room, n) == (ev_ssize_t)n)
            buf_added(&call->answer, n);
    }
    webhook_call_go_on(call, call->why ? NULL : "cannot connect");
}

static bool webhook_call_put_headers(struct webhook_call *call, struct evhttp_request *req)
{
    struct evkeyvalq *h = evhttp_request_get_output_headers(req);
    return evhttp_add_header(h, "Host", call->post.url->authority) == 0 &&
           evhttp_add_header(h, "User-Agent", "halfmq/" HALFMQ_VERSION) == 0 &&
           evhttp_add_header(h, "Content-Type", "application/json") == 0 &&
           evhttp_add_header(h, "Idempotency-Key", call->key) == 0 &&
           (!call->signature[0] ||
            evhttp_add_header(h, "X-HalfMQ-Signature", call->signature) == 0);
}

static struct evhttp_request *webhook_call_request_new(struct webhook_call *call)
{
    struct evhttp_request *req = evhttp_request_new(webhook_call_on_answer, call);
    if (!req)
        return NULL;
    evhttp_request_set_error_cb(req, webhook_call_on_error);
    struct evbuffer *out = evhttp_request_get_output_buffer(req);
    if (webhook_call_put_headers(call, req) &&
        evbuffer_add_reference(out, call->body.data, call->body.len, NULL, NULL) == 0)
        return req;
    evhttp_request_free(req);
    return NULL;
}

/* Sends the request on the link. False: that could not be begun. */
static bool webhook_call_begin(struct webhook_call *call)
{
    const struct timeval timeout = {.tv_sec = (time_t)(call->post.timeout_ms / 1000 + 1)};
    struct evhttp_request *req = call->link->closed ? NULL : webhook_call_request_new(call);
    call->begun = true;
    if (!req)
        return false;
    evhttp_connection_set_timeout_tv(call->link->http, &timeout); /* behind our own deadline */
    return evhttp_make_request(call->link->http, req, EVHTTP_REQ_POST, call->post.url->target) == 0;
}

static void webhook_call_look_up(struct webhook_call *call)
{
    const struct webhook_url *url = call->post.url;
    call->lookup = resolver_find(call->post.resolver, url->host, url->port, webhook_call_on_found, call);
}

/* ---- steps ---- */

/* Tries the next address; ends the call where there is none, or nothing more to try. */
static void webhook_call_next(struct webhook_call *call)
{
    if (call->over || call->status || call->sent || call->at == call->n_addresses) {
        webhook_call_finish(call);
        return;
    }
    const struct sockaddr *to = (const struct sockaddr *)&call->addresses[call->at++];
    call->link = pool_link_new(call->post.pool, call->post.url->authority, to, sizeof call->addresses[0]);
    if (!call->link || !webhook_call_begin(call))
        webhook_call_go_on(call, "cannot connect");
}

static void webhook_call_on_step(evutil_socket_t fd, short what, void *arg)
{
    struct webhook_call *call = arg;
    struct pool_link *l = call->link;
    (void)fd, (void)what;
    if (l && !call->begun && !call->over && webhook_call_begin(call))
        return; /* on the kept connection */
    bool dead = call->waited && !call->over && !call->status && !l->heard && (call->broke || !l->sent);
    call->sent = l && l->sent;
    if (call->status && call->keep) {
        call->link = NULL;
        pool_give(l);
    }
    webhook_call_disconnect(call);
    if (!dead) {
        webhook_call_next(call);
        return;
    }
    /* The kept connection was dead: begins again, on a new one. */
    call->waited = call->broke = call->sent = false;
    call->why = NULL;
    webhook_call_look_up(call);
}

static void webhook_call_on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct webhook_call *call = arg;
    (void)fd, (void)what;
    call->over = true;
    webhook_call_go_on(call, call->link && call->link->sent ? "no response in time"
                             : call->lookup                 ? "the host name was not resolved in time"
                                                            : "no connection in time");
}

static void webhook_call_on_found(void *arg, const struct evutil_addrinfo *addresses, const char *why)
{
    struct webhook_call *call = arg;
    call->lookup = NULL;
    for (; addresses && call->n_addresses < WEBHOOK_ADDRESSES_MAX; addresses = addresses->ai_next) {
        if (addresses->ai_addrlen > sizeof call->addresses[0] ||
            !webhook_allow_address(call->post.allow, call->post.url, addresses->ai_addr))
            continue;
        memcpy(&call->addresses[call->n_addresses++], addresses->ai_addr, addresses->ai_addrlen);
    }
    if (!why && call->n_addresses == 0)
        why = "the host's address is not allowed by webhook_allow";
    webhook_call_go_on(call, why);
}

struct webhook_call *webhook_call_new(const struct webhook_post *post, struct buf *body)
{
    struct webhook_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->post = *post;
    call->url = *post->url;
    call->post.url = &call->url;
    snprintf(call->key, sizeof call->key, "%s", post->key);
    snprintf(call->signature, sizeof call->signature, "%s", post->signature ? post->signature : "");
    buf_init(&call->body, 0);
    buf_init(&call->answer, WEBHOOK_ANSWER_BODY_MAX);
    call->step = event_new(post->base, -1, 0, webhook_call_on_step, call);
    call->deadline = evtimer_new(post->base, webhook_call_on_deadline, call);
    const struct timeval tv = {.tv_sec = (time_t)(post->timeout_ms / 1000),
                               .tv_usec = (suseconds_t)(post->timeout_ms % 1000 * 1000)};
    if (!call->step || !call->deadline || event_add(call->deadline, &tv) != 0) {
        webhook_call_free(call);
        return NULL;
    }
    call->body = *body;
    *body = (struct buf){.cap = body->cap};
    call->link = pool_take(post->pool, call->url.authority);
    call->waited = call->link != NULL;
    if (call->waited)
        webhook_call_go_on(call, NULL);
    else
        webhook_call_look_up(call);
    return call;
}
