/* http_login.c: logins of HTTP requests (http_login.h). */
#include "broker/http_login.h"

#include <event2/keyvalq_struct.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/access/admit.h"
#include "broker/auth/acl_log.h"
#include "broker/auth/auth.h"
#include "broker/auth/credentials.h"
#include "broker/base/log.h"
#include "broker/base/timers.h"
#include "broker/entrance.h"
#include "broker/server_inner.h"

#define CODE_UNAUTHORIZED 401
#define CODE_FORBIDDEN 403

struct http_login {
    struct server *server;
    http_answer_fn *answer;
    struct event *came;
    pthread_mutex_t lock;
    struct http_ask *done; /* under the lock: those that the worker has decided */
};

/* A request that waits for the worker. */
struct http_ask {
    struct http_ask *next;
    struct http_login *http;
    struct evhttp_request *req;
    const struct http_wanted *wanted;
    struct auth_login *login;
};

/* ---- answers ---- */

static void http_login_head(struct evhttp_request *req, const char *name, const char *value)
{
    if (evhttp_add_header(evhttp_request_get_output_headers(req), name, value) != 0)
        log_text(LOG_WARN, "no memory for an HTTP header");
}

static void http_login_unknown(struct http_login *h, struct evhttp_request *req)
{
    http_login_head(req, "WWW-Authenticate", "Basic realm=\"halfmq\", charset=\"UTF-8\"");
    http_login_head(req, "WWW-Authenticate", "Bearer realm=\"halfmq\"");
    h->answer(req, CODE_UNAUTHORIZED, "log in with a user and password (Basic), or with a token (Bearer)\n");
}

static void http_login_busy(struct http_login *h, struct evhttp_request *req, const char *why)
{
    http_login_head(req, "Retry-After", "1");
    h->answer(req, HTTP_SERVUNAVAIL, why);
}

/* proved: they have logged in. May they do what the page needs? */
static void http_login_admit(struct http_login *h, struct slice user, bool proved, struct evhttp_request *req,
                             const struct http_wanted *wanted)
{
    const struct command cmd = {.info = command_info(wanted->needs)};
    char why[ADMIT_WHY_SIZE + 2] = "";
    enum status s = admit_request(h->server->roster, NULL, user, proved, &cmd, why);
    strncat(why, "\n", sizeof why - strlen(why) - 1);
    if (s == ST_OK)
        wanted->show(h->server, req);
    else if (s == ST_NOAUTH)
        http_login_unknown(h, req);
    else if (s == ST_NOPERM)
        h->answer(req, CODE_FORBIDDEN, why);
    else
        http_login_busy(h, req, why);
}

static void http_login_failed(struct http_login *h, const struct auth_login *l, const char *why)
{
    char from[ADDRESS_TEXT_MAX], name[160], reason[160];
    log_each(LOG_WARN, "login failed", " audit=1 user=%s addr=%s by=http reason=%s", log_quote(l->name, name, sizeof name),
             address_text(&l->from, from), log_quote(why, reason, sizeof reason));
    acl_log_add(h->server->acl_log, "auth", SLICE_LIT("HTTP"), slice_str(l->name), "by=http", timers_now());
}

/* Is the user still as it was when the login began? */
static bool http_login_holds(struct http_login *h, const struct auth_login *l)
{
    struct users *us = NULL;
    uint64_t gen;
    if (roster_users(h->server->roster, NULL, &us, &gen) != ST_OK)
        return false;
    const struct access_user *u = users_find(us, slice_str(l->name));
    bool holds = u && u->row.on && (l->token || u->row.ref == l->ref);
    users_release(us);
    return holds;
}

static void http_login_right(struct http_login *h, const struct auth_login *l, struct evhttp_request *req,
                             const struct http_wanted *wanted)
{
    if (http_login_holds(h, l)) {
        http_login_admit(h, slice_str(l->name), true, req, wanted);
        return;
    }
    auth_failed(h->server->auth, &l->from);
    http_login_failed(h, l, "the user does not exist, is off, or was changed at this moment");
    http_login_unknown(h, req);
}

static void http_login_decide(struct http_login *h, const struct auth_login *l, enum login_result r,
                              struct evhttp_request *req, const struct http_wanted *wanted)
{
    if (r == LOGIN_RIGHT) {
        http_login_right(h, l, req, wanted);
    } else if (r == LOGIN_WRONG) {
        http_login_failed(h, l, l->why);
        http_login_unknown(h, req);
    } else {
        http_login_busy(h, req, "too many logins at a time, or no memory: try again\n");
    }
}

/* ---- there and back ---- */

/* The worker's thread. */
static void http_login_done(struct auth_login *l)
{
    struct http_ask *a = l->owner;
    struct http_login *h = a->http;
    pthread_mutex_lock(&h->lock);
    a->next = h->done;
    h->done = a;
    pthread_mutex_unlock(&h->lock);
    event_active(h->came, EV_TIMEOUT, 0);
}

static struct http_ask *http_login_take(struct http_login *h)
{
    pthread_mutex_lock(&h->lock);
    struct http_ask *a = h->done;
    h->done = NULL;
    pthread_mutex_unlock(&h->lock);
    return a;
}

static void http_login_free_ask(struct http_ask *a)
{
    login_free(a->login);
    free(a);
}

static void http_login_on_came(evutil_socket_t fd, short what, void *arg)
{
    struct http_login *h = arg;
    (void)fd, (void)what;
    for (struct http_ask *a = http_login_take(h), *next; a; a = next) {
        next = a->next;
        http_login_decide(h, a->login, a->login->result, a->req, a->wanted);
        http_login_free_ask(a);
    }
}

static void http_login_take_user(struct http_login *h, struct auth_login *l)
{
    struct users *us = NULL;
    uint64_t gen;
    if (roster_users(h->server->roster, NULL, &us, &gen) != ST_OK)
        return;
    const struct access_user *u = users_find(us, slice_str(l->name));
    if (u)
        login_take_user(l, u->row.on, u->row.nopass, u->row.ref, u->row.hash, u->row.n_hashes);
    users_release(us);
}

static void http_login_begin(struct http_login *h, struct evhttp_request *req, const struct net_address *from,
                             const struct credentials *c, const struct http_wanted *wanted)
{
    struct http_ask *a = calloc(1, sizeof *a);
    struct auth_login *l = a ? login_new(c->user.len ? c->user : SLICE_LIT("default"), c->password) : NULL;
    if (!l) {
        free(a);
        http_login_busy(h, req, "too many logins at a time, or no memory: try again\n");
        return;
    }
    *a = (struct http_ask){.http = h, .req = req, .wanted = wanted, .login = l};
    http_login_take_user(h, l);
    l->from = *from;
    l->owner = a;
    l->done = http_login_done;
    enum login_result r = auth_begin(h->server->auth, l);
    if (r == LOGIN_PENDING)
        return;
    http_login_decide(h, l, r, req, wanted);
    http_login_free_ask(a);
}

/* Who has sent it, as of when the connection was accepted: a client that has reset it since has an address, too. */
static struct net_address http_login_from(struct evhttp_request *req)
{
    char *text = NULL;
    ev_uint16_t port = 0;
    evhttp_connection_get_peer(evhttp_request_get_connection(req), &text, &port);
    return address_of_text(text ? text : "");
}

void http_login_show(struct http_login *h, struct evhttp_request *req, const struct http_wanted *wanted)
{
    struct credentials c;
    struct net_address from = http_login_from(req);
    const char *header = evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization");
    if (!address_is_local(&from) && entrance_is_protected(h->server)) {
        h->answer(req, CODE_FORBIDDEN, "DENIED " ENTRANCE_PROTECTED_TEXT "\n");
    } else if (wanted->needs == CMD_QUIT || !h->server->net) {
        wanted->show(h->server, req); /* while the store is loaded, pages say so */
    } else if (!header) {
        http_login_admit(h, SLICE_LIT("default"), false, req, wanted);
    } else if (!credentials_read(header, &c)) {
        http_login_unknown(h, req);
    } else {
        http_login_begin(h, req, &from, &c, wanted);
        credentials_forget(&c);
    }
}

struct http_login *http_login_new(struct server *s, struct event_base *base, http_answer_fn *answer)
{
    struct http_login *h = calloc(1, sizeof *h);
    if (!h || pthread_mutex_init(&h->lock, NULL) != 0) {
        free(h);
        return NULL;
    }
    h->server = s;
    h->answer = answer;
    h->came = event_new(base, -1, 0, http_login_on_came, h);
    if (h->came)
        return h;
    pthread_mutex_destroy(&h->lock);
    free(h);
    return NULL;
}

void http_login_free(struct http_login *h)
{
    if (!h)
        return;
    for (struct http_ask *a = http_login_take(h), *next; a; a = next) { /* their requests are libevent's */
        next = a->next;
        http_login_free_ask(a);
    }
    event_free(h->came);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
