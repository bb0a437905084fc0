/* dial.c: a round of attempts to connect; see dial.h. */
#include "clients/c/client/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/logs.h"
#include "clients/c/client/lookup.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"

enum hmq_status dial_init(struct dial *d, const struct hmq_options *o, hmq_error *err)
{
    uint64_t chance = 0;
    *d = (struct dial){.epoll = -1};
    enum hmq_status status = endpoints_parse(options_text(o, CHOICE_servers), &d->endpoints, err);
    if (status == HMQ_OK && options_num(o, CHOICE_shuffle_servers) && clock_random(&chance))
        endpoints_shuffle(&d->endpoints, chance);
    return status;
}

/* Ends the round: closes what is still connecting. */
static void dial_end(struct hmq_client *c)
{
    struct dial *d = &c->peer.dial;
    for (size_t i = 0; i < d->n; i++)
        close(d->attempts[i].fd);
    d->n = 0;
    lookup_abandon(d->lookup);
    d->lookup = NULL;
    if (d->epoll < 0)
        return;
    watch_socket(c, d->epoll, 0, 0);
    close(d->epoll);
    d->epoll = -1;
}

void dial_fini(struct hmq_client *c)
{
    dial_end(c);
    endpoints_free(&c->peer.dial.endpoints);
}

bool dial_begin(struct hmq_client *c, hmq_error *err)
{
    struct dial *d = &c->peer.dial;
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll < 0) {
        error_set(err, HMQ_ESYSTEM, "%s", strerror(errno));
        return false;
    }
    d->left = d->endpoints.n;
    d->apart_ms = CORE_NOW;
    watch_socket(c, d->epoll, 1, 0);
    return true;
}

static void dial_failed(struct hmq_client *c, const struct address *a, const char *why)
{
    char where[160] = "", text[HMQ_ERROR_TEXT_SIZE];
    if (a)
        address_describe(a, where, sizeof where);
    snprintf(text, sizeof text, "%s%s%s", where, a ? ": " : "", why);
    c->peer.dial.apart_ms = CORE_NOW;
    client_note_failure(c, text);
}

static void dial_attempt_failed(struct hmq_client *c, size_t i, const char *why)
{
    struct dial *d = &c->peer.dial;
    struct address address = d->attempts[i].address;
    close(d->attempts[i].fd); /* which takes it out of the epoll set as well */
    d->attempts[i] = d->attempts[--d->n];
    dial_failed(c, &address, why);
}

static void dial_attempt(struct hmq_client *c, const struct address *a)
{
    struct dial *d = &c->peer.dial;
    int64_t now_ms = clock_ms();
    char where[160];
    address_describe(a, where, sizeof where);
    logs_say(c, HMQ_LOG_DEBUG, "connecting to %s", where);
    int fd = net_connect(a);
    struct epoll_event e = {.events = EPOLLOUT, .data.fd = fd};
    if (fd < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        dial_failed(c, a, strerror(why));
        return;
    }
    d->attempts[d->n++] = (struct dial_attempt){
        fd, d->owner, *a, now_ms + options_num(c->options, CHOICE_connect_timeout_ms)};
    d->apart_ms = now_ms + DIAL_APART_MS;
}

/* The addresses of a server are there, or there are none. */
static void dial_found(struct hmq_client *c, enum hmq_status status, const hmq_error *err)
{
    struct dial *d = &c->peer.dial;
    d->next = 0;
    if (status == HMQ_OK)
        return;
    d->found.n = 0;
    dial_failed(c, NULL, err->text);
}

/* Asks for the addresses of the next server. */
static void dial_ask(struct hmq_client *c)
{
    struct dial *d = &c->peer.dial;
    const struct endpoint *e = &d->endpoints.list[d->endpoint];
    hmq_error err;
    d->owner = d->endpoint;
    d->endpoint = (d->endpoint + 1) % d->endpoints.n;
    d->left--;
    d->found.n = d->next = 0;
    if (endpoint_is_known(e)) {
        dial_found(c, endpoint_resolve(e, &d->found, &err), &err);
        return;
    }
    logs_say(c, HMQ_LOG_DEBUG, "looking up %s", e->host);
    d->lookup = lookup_start(c, e, &err);
    d->lookup_deadline_ms = clock_ms() + options_num(c->options, CHOICE_connect_timeout_ms);
    if (!d->lookup)
        dial_found(c, HMQ_ESYSTEM, &err);
}

static void dial_look(struct hmq_client *c, int64_t now_ms)
{
    struct dial *d = &c->peer.dial;
    enum hmq_status status;
    hmq_error err;
    if (!d->lookup)
        return;
    if (lookup_take(d->lookup, &status, &d->found, &err)) {
        d->lookup = NULL;
        dial_found(c, status, &err);
    } else if (now_ms >= d->lookup_deadline_ms) {
        lookup_abandon(d->lookup);
        d->lookup = NULL;
        error_set(&err, HMQ_EDISCONNECTED, "%s: the look-up of its addresses takes too long",
                  d->endpoints.list[d->owner].host);
        dial_found(c, HMQ_EDISCONNECTED, &err);
    }
}

static bool dial_has_more(const struct dial *d)
{
    return d->next < d->found.n || (d->left > 0 && !d->lookup);
}

/* Begins what may be begun now. */
static void dial_go_on(struct hmq_client *c, int64_t now_ms)
{
    struct dial *d = &c->peer.dial;
    while (d->n < DIAL_ATTEMPTS && dial_has_more(d) && (d->n == 0 || now_ms >= d->apart_ms)) {
        if (d->next < d->found.n)
            dial_attempt(c, &d->found.list[d->next++]);
        else
            dial_ask(c);
    }
}

/* Looks at the sockets that are ready, and for those that are late. True: one is connected. */
static bool dial_look_at_attempts(struct hmq_client *c, int64_t now_ms, struct dial_attempt *ret_won)
{
    struct dial *d = &c->peer.dial;
    struct epoll_event ready[DIAL_ATTEMPTS];
    int n = epoll_wait(d->epoll, ready, DIAL_ATTEMPTS, 0);
    for (size_t i = d->n; i-- > 0;) {
        bool is_ready = false;
        for (int k = 0; k < n; k++)
            is_ready = is_ready || ready[k].data.fd == d->attempts[i].fd;
        int failed = is_ready ? net_connect_result(d->attempts[i].fd) : 0;
        if (is_ready && failed == 0) {
            *ret_won = d->attempts[i];
            d->attempts[i] = d->attempts[--d->n];
            return true;
        }
        if (failed != 0)
            dial_attempt_failed(c, i, strerror(failed));
        else if (now_ms >= d->attempts[i].deadline_ms)
            dial_attempt_failed(c, i, "no answer");
    }
    return false;
}

enum dial_result dial_step(struct hmq_client *c, struct dial_attempt *ret_won)
{
    struct dial *d = &c->peer.dial;
    int64_t now_ms = clock_ms();
    if (dial_look_at_attempts(c, now_ms, ret_won)) {
        (void)epoll_ctl(d->epoll, EPOLL_CTL_DEL, ret_won->fd, NULL);
        dial_end(c);
        return DIAL_WON;
    }
    dial_look(c, now_ms);
    dial_go_on(c, now_ms);
    if (d->n > 0 || d->lookup)
        return DIAL_GOING;
    dial_end(c);
    return DIAL_FAILED;
}

int64_t dial_due(const struct dial *d)
{
    int64_t due_ms = CORE_NEVER;
    for (size_t i = 0; i < d->n; i++)
        due_ms = d->attempts[i].deadline_ms < due_ms ? d->attempts[i].deadline_ms : due_ms;
    if (d->lookup && d->lookup_deadline_ms < due_ms)
        due_ms = d->lookup_deadline_ms;
    if (d->n < DIAL_ATTEMPTS && dial_has_more(d) && d->apart_ms < due_ms)
        due_ms = d->apart_ms;
    return due_ms;
}
