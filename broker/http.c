/*
 * http.c: the pages of the HTTP port. The only file that uses libevent's HTTP server.
 *
 *   GET /metrics   200, Prometheus text; 503 while the store is loaded
 *   GET /healthz   200 "ok", also then; 503 "disk full"
 *   GET /readyz    200 "ok"; 503 while starting, with how far that is, and while stopping
 *
 * Bounds: 8 KiB of headers, 4 KiB of body, 10 s without a byte, one request a connection. The number of
 * connections is bounded by descriptors: the store needs some, and stops the broker when it cannot open a file.
 * libevent's HTTP server does not count its connections, so every ACCEPTS_A_COUNT accepts all open descriptors of the
 * process are counted, and listening pauses while too few are left.
 *
 * To add a page: a function and a line in `pages`.
 */
#include "broker/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/process.h"
#include "broker/http_login.h"
#include "broker/http_tls.h"
#include "broker/metrics.h"
#include "broker/net/net.h"
#include "broker/server_inner.h"
#include "broker/wal/wal.h"

#define HEADERS_BYTES_MAX 8192
#define BODY_BYTES_MAX 4096
#define SILENCE_S 10
#define PAUSE_S 1
#define ACCEPTS_A_COUNT 8 /* not at each accept: counting lists all descriptors of the process */

struct http {
    struct server *server;
    struct http_login *login;
    struct evhttp *evhttp;
    struct evconnlistener *listeners[SOCKETS_MAX];
    unsigned n_listeners;
    unsigned accepts; /* since the last count */
};

static void http_answer(struct evhttp_request *req, int code, const char *type, struct slice text)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer *body = evbuffer_new();
    if (!body || evbuffer_add(body, text.data, text.len) != 0 ||
        evhttp_add_header(headers, "Content-Type", type) != 0 ||
        evhttp_add_header(headers, "Cache-Control", "no-store") != 0 ||
        evhttp_add_header(headers, "Connection", "close") != 0)
        evhttp_send_error(req, HTTP_INTERNAL, "no memory");
    else
        evhttp_send_reply(req, code, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void http_answer_text(struct evhttp_request *req, int code, const char *text)
{
    http_answer(req, code, "text/plain; charset=utf-8", slice_str(text));
}

static void http_metrics_page(struct server *s, struct evhttp_request *req)
{
    struct buf out;
    if (!s->net) {
        http_answer_text(req, HTTP_SERVUNAVAIL, "starting: there are no metrics yet\n");
        return;
    }
    buf_init(&out, 0);
    metrics_write(s, &out);
    if (out.failed)
        http_answer_text(req, HTTP_SERVUNAVAIL, "no memory for the metrics now: try again\n");
    else
        http_answer(req, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&out));
    buf_free(&out);
}

static void http_health_page(struct server *s, struct evhttp_request *req)
{
    struct journal_stats stats = {0};
    if (s->journal)
        journal_stats(s->journal, &stats);
    if (stats.disk_full)
        http_answer_text(req, HTTP_SERVUNAVAIL, "disk full\n");
    else
        http_answer_text(req, HTTP_OK, "ok\n");
}

static void http_answer_starting(struct server *s, struct evhttp_request *req)
{
    char text[128];
    struct wal_progress replay = wal_progress(s->wal);
    if (replay.all == 0)
        (void)snprintf(text, sizeof text, "starting: the store is opened\n");
    else
        (void)snprintf(text, sizeof text, "starting: %llu of %llu MiB of the log are replayed\n",
                       (unsigned long long)(replay.done / MIB(1)), (unsigned long long)(replay.all / MIB(1)));
    http_answer_text(req, HTTP_SERVUNAVAIL, text);
}

static void http_ready_page(struct server *s, struct evhttp_request *req)
{
    if (atomic_load(&s->stopping))
        http_answer_text(req, HTTP_SERVUNAVAIL, "stopping\n");
    else if (!atomic_load(&s->ready))
        http_answer_starting(s, req);
    else
        http_answer_text(req, HTTP_OK, "ok\n");
}

struct page {
    const char *path;
    struct http_wanted wanted;
};

static const struct page pages[] = {
    {"/metrics", {CMD_INFO, http_metrics_page}},
    {"/healthz", {CMD_QUIT, http_health_page}},
    {"/readyz", {CMD_QUIT, http_ready_page}},
};

static const struct page *http_page_at(const char *path)
{
    for (size_t i = 0; path && i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(path, pages[i].path) == 0)
            return &pages[i];
    }
    return NULL;
}

static void http_on_request(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const struct page *page = http_page_at(uri ? evhttp_uri_get_path(uri) : NULL);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    if (http_tls_is_missing(h->server, bev)) { /* there was no memory for it, or it came before the certificate */
        http_answer_text(req, HTTP_BADREQUEST, "this port speaks TLS only: use https://\n");
    } else if (!page) {
        http_answer_text(req, HTTP_NOTFOUND, "no such page: there are /metrics, /healthz and /readyz\n");
    } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
        if (evhttp_add_header(headers, "Allow", "GET, HEAD") != 0)
            log_text(LOG_WARN, "no memory for an HTTP header");
        http_answer_text(req, HTTP_BADMETHOD, "this page can only be read: use GET\n");
    } else {
        http_login_show(h->login, req, &page->wanted);
    }
}

static void http_on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    if (evconnlistener_enable(arg) != 0)
        log_text(LOG_ERROR, "cannot watch the HTTP socket");
}

static void http_pause_listening(struct evconnlistener *listener)
{
    const struct timeval pause = {.tv_sec = PAUSE_S};
    if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, http_on_resume, listener,
                        &pause) == 0)
        evconnlistener_disable(listener);
}

/* Without free descriptors the socket stays readable, and the main thread would spin. arg is libevent's. */
static void http_on_accept_error(struct evconnlistener *listener, void *arg)
{
    char text[128];
    (void)arg;
    log_event(LOG_WARN, "cannot accept HTTP connections for now", " reason=%s",
              log_quote(strerror(errno), text, sizeof text));
    http_pause_listening(listener);
}

/* True where less than a quarter of the descriptors that are not for clients is left. */
static bool http_descriptors_short(const struct server *s)
{
    struct process_figures f;
    process_figures(&f);
    int64_t not_clients = f.max_fds - atomic_load(&s->connections_max);
    return f.open_fds - (s->net ? (int64_t)net_connections(s->net) : 0) > not_clients / 4 * 3;
}

/* At every ACCEPTS_A_COUNTth accept: pauses listening where descriptors are short. */
static void http_count_descriptors(struct http *h)
{
    if (++h->accepts < ACCEPTS_A_COUNT)
        return;
    h->accepts = 0;
    if (!http_descriptors_short(h->server))
        return;
    log_text(LOG_WARN, "too many HTTP connections, no new ones for now");
    for (unsigned i = 0; i < h->n_listeners; i++)
        http_pause_listening(h->listeners[i]);
}

/* libevent calls this for the bufferevent of each new connection. The kind that it would make itself closes its
 * descriptor before it removes it from epoll; by then another thread may have opened a file with the same number.
 * NULL: no memory; libevent then makes its own kind. */
static struct bufferevent *http_on_accept(struct event_base *base, void *arg)
{
    struct http *h = arg;
    http_count_descriptors(h);
    if (http_tls_is_on(h->server))
        return http_tls_new(h->server, base);
    return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

/* Sets *fd to -1 as soon as something else will close the descriptor. */
static bool http_listen_on(struct http *h, struct event_base *base, int *fd)
{
    struct evconnlistener *l =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, *fd);
    if (!l)
        return false;
    *fd = -1;
    /* From here on libevent's HTTP server owns the listener and has set its own callbacks. */
    if (!evhttp_bind_listener(h->evhttp, l)) {
        evconnlistener_free(l);
        return false;
    }
    evconnlistener_set_error_cb(l, http_on_accept_error);
    h->listeners[h->n_listeners++] = l;
    return true;
}

static bool http_set_up(struct http *h, struct event_base *base, struct sockets *sockets)
{
    h->evhttp = evhttp_new(base);
    if (!h->evhttp)
        return false;
    evhttp_set_max_headers_size(h->evhttp, HEADERS_BYTES_MAX);
    evhttp_set_max_body_size(h->evhttp, BODY_BYTES_MAX);
    evhttp_set_timeout(h->evhttp, SILENCE_S);
    evhttp_set_allowed_methods(h->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                              EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                              EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_bevcb(h->evhttp, http_on_accept, h);
    evhttp_set_gencb(h->evhttp, http_on_request, h);
    for (unsigned i = 0; i < sockets->n; i++) {
        if (!http_listen_on(h, base, &sockets->fds[i]))
            return false;
    }
    return true;
}

struct http *http_new(struct server *s, struct event_base *base, struct sockets *sockets)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->server = s;
    h->login = http_login_new(s, base, http_answer_text);
    if (h->login && http_set_up(h, base, sockets))
        return h;
    http_free(h);
    return NULL;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    if (h->evhttp)
        evhttp_free(h->evhttp);
    http_login_free(h->login);
    free(h);
}
