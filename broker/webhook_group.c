/*
 * webhook_group.c: one producer group with a CHECKURL.
 *
 *   pull ── room? ──► CHECKS pgroup COUNT room ──┬─ nothing ──► wait for news, or until retry_at
 *     ▲                                          └─ objects ──► POST each
 *     │                                                           │
 *     └── news, time, a request that ends ◄── decision, pause ◄───┘
 *
 * Room is what webhook_concurrency leaves of the URL (groups with the same URL share it), what
 * WEBHOOK_POSTS_MAX leaves, and what the bodies in flight leave: GROUP_BYTES_SOFT a group, and of all
 * groups a sixteenth of the setting `memory`. At the last two a group with nothing in flight still has
 * room for one. A group that finds none is `hungry`, and fed when a request or a CHECKS of anybody ends:
 * the room that a CHECKS had reserved may not have been needed. One CHECKS answers at most
 * REPLY_BYTES_SOFT and one transaction more.
 *
 * After a connection that failed there is a pause; behind it one request goes ahead alone, and only when
 * that one finds somebody do the others follow.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/json.h"
#include "broker/log.h"
#include "broker/members.h"
#include "broker/timers.h"
#include "broker/webhook_inner.h"
#include "broker/webhook_sign.h"

#define PAUSE_MS_MIN 1000
#define PAUSE_MS_MAX 60000
#define BUSY_MS 1000
#define LOG_MS 10000 /* a line a group and so long */
#define GROUP_BYTES_SOFT ((size_t)MIB(1))

static struct metrics_cell *metrics_of(struct webhook_group *g)
{
    return &g->webhook->server->webhook_metrics;
}

static struct slice name_of(const struct webhook_group *g)
{
    return buf_slice(&g->name);
}

/* ---- when to look again ---- */

static void look_again(struct webhook_group *g, int64_t delay_ms)
{
    int64_t at = timers_now() + delay_ms;
    if (at >= g->again_ms)
        return;
    const struct timeval tv = {.tv_sec = (time_t)(delay_ms / 1000),
                               .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
    if (event_add(g->again, &tv) == 0)
        g->again_ms = at;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct webhook_group *g = arg;
    (void)fd, (void)what;
    g->again_ms = INT64_MAX;
    webhook_group_pull(g);
}

/* ---- telling ---- */

static void tell(struct webhook_group *g, const char *text, const char *why)
{
    int64_t now = timers_now();
    char quoted[256], url[256];
    if (g->logged_ms && now - g->logged_ms < LOG_MS) {
        g->unlogged++;
        return;
    }
    log_event(LOG_WARN, text, " pgroup=%.*s url=%s reason=%s unlogged=%" PRIu32, (int)g->name.len,
              (const char *)g->name.data, log_quote(g->url.authority, url, sizeof url),
              log_quote(why, quoted, sizeof quoted), g->unlogged);
    g->logged_ms = now;
    g->unlogged = 0;
}

/* ---- decisions ---- */

static void decided(struct journal_client *owner, struct entry *e)
{
    enum status s;
    (void)owner;
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), &s))
        log_event(LOG_DEBUG, "a webhook's decision was refused", " command=%s", e->cmd.info->words);
    entry_free(e);
}

static void decide(struct webhook_group *g, enum command_id id, uint64_t txid)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, txid);
    struct command cmd = {.info = command_info(id), .n_pos = 1, .pos = {slice_str(text)}};
    if (!webhook_submit(g->webhook, &cmd, decided, NULL))
        tell(g, "no room for a webhook's decision; it will be asked again", "the journal is full");
}

static void taken_back(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    entry_free(e);
}

static void submit_unask(struct webhook *w, struct unask *u)
{
    struct command cmd;
    if (u->n > 0 && (!unask_command(u, &cmd) || !webhook_submit(w, &cmd, taken_back, NULL)))
        log_text(LOG_DEBUG, "no room to take back check-backs; they are asked again later");
}

static void unask_one(struct webhook *w, struct unask *u, struct ask ask)
{
    unask_add(u, ask);
    if (unask_full(u))
        submit_unask(w, u);
}

static void unask(struct webhook *w, struct ask ask)
{
    struct unask u;
    unask_init(&u);
    unask_one(w, &u, ask);
    submit_unask(w, &u);
    unask_fini(&u);
}

/* 200 and one of three words decide; *ret_why says why they did not. */
static enum command_id read_answer(const struct webhook_answer *a, const char **ret_why)
{
    char word[16];
    *ret_why = a->why;
    if (a->end != CALL_ANSWERED)
        return CMD_UNKNOWN;
    *ret_why = "the status is not 200";
    if (a->status != 200)
        return CMD_UNKNOWN;
    *ret_why = "the body is not {\"decision\":\"commit\"|\"rollback\"|\"unknown\"}";
    if (!json_member(a->body, "decision", word, sizeof word))
        return CMD_UNKNOWN;
    enum command_id id = strcmp(word, "commit") == 0     ? CMD_COMMIT
                         : strcmp(word, "rollback") == 0 ? CMD_ROLLBACK
                                                         : CMD_UNKNOWN;
    if (id != CMD_UNKNOWN || strcmp(word, "unknown") == 0)
        *ret_why = NULL;
    return id;
}

static void tell_undecided(struct webhook_group *g, const struct webhook_answer *a, const char *why)
{
    char text[96];
    metrics_add(metrics_of(g), METRIC_WEBHOOK_UNDECIDED, 1);
    if (a->status >= 300 && a->status < 400) {
        if (!g->redirect_logged)
            log_event(LOG_WARN, "a CHECKURL redirects, which is not followed: name the right one",
                      " pgroup=%.*s status=%d", (int)g->name.len, (const char *)g->name.data,
                      a->status);
        g->redirect_logged = true;
        return;
    }
    if (a->end == CALL_ANSWERED && a->status != 200) {
        snprintf(text, sizeof text, "status %d", a->status);
        why = text;
    }
    tell(g, "a CHECKURL did not decide; it will be asked again", why);
}

/* ---- requests ---- */

static void set_down(struct webhook_group *g, bool down)
{
    struct members *members = g->webhook->server->members;
    if (g->down == down || g->gone)
        return;
    g->down = down;
    if (down) {
        metrics_add(metrics_of(g), METRIC_WEBHOOKS_DOWN, 1);
        members_leave(members, g->key);
    } else {
        metrics_sub(metrics_of(g), METRIC_WEBHOOKS_DOWN, 1);
        members_join(members, g->key);
    }
}

static void not_connected(struct webhook_group *g, struct ask ask, const char *why)
{
    int64_t now = timers_now();
    metrics_add(metrics_of(g), METRIC_WEBHOOK_FAILURES, 1);
    if (now >= g->not_before_ms) { /* of several that fail together, the first makes the pause */
        g->pause_ms = g->down ? 2 * g->pause_ms : PAUSE_MS_MIN;
        if (g->pause_ms > PAUSE_MS_MAX)
            g->pause_ms = PAUSE_MS_MAX;
        g->not_before_ms = now + g->pause_ms;
    }
    set_down(g, true);
    tell(g, "a CHECKURL cannot be reached; it is tried again, and no ask counts", why);
    unask(g->webhook, ask);
}

static void reached(struct webhook_group *g, struct ask ask, const struct webhook_answer *a)
{
    const char *why = NULL;
    metrics_add(metrics_of(g), METRIC_CHECKS_HANDED, 1);
    metrics_add(metrics_of(g), METRIC_WEBHOOK_CALLS, 1);
    set_down(g, false);
    g->not_before_ms = 0;
    enum command_id id = read_answer(a, &why);
    if (why)
        tell_undecided(g, a, why);
    decide(g, id, ask.txid);
}

static void posting_end(struct webhook_posting *p)
{
    struct webhook_group *g = p->group;
    *(p->prev ? &p->prev->next : &g->postings) = p->next;
    if (p->next)
        p->next->prev = p->prev;
    g->n_postings--;
    g->webhook->n_postings--;
    g->bytes -= p->bytes;
    g->webhook->bytes -= p->bytes;
    metrics_sub(metrics_of(g), METRIC_WEBHOOK_IN_FLIGHT, 1);
    free(p);
}

static void feed(struct webhook_group *g)
{
    bool hungry = g->hungry;
    g->hungry = false;
    if (hungry)
        webhook_group_pull(g);
}

/* Room was made: for those that found none, the one behind this first. */
static void feed_hungry(struct webhook_group *g)
{
    for (struct webhook_group *at = g->next; at; at = at->next)
        feed(at);
    for (struct webhook_group *at = g->webhook->groups; at != g; at = at->next)
        feed(at);
    feed(g);
}

static void on_answer(void *arg, const struct webhook_answer *answer)
{
    struct webhook_posting *p = arg;
    struct webhook_group *g = p->group;
    struct ask ask = p->ask;
    if (answer->end == CALL_NOT_CONNECTED)
        not_connected(g, ask, answer->why);
    else
        reached(g, ask, answer);
    posting_end(p); /* last: who sees that it is no longer in flight sees what came of it */
    feed_hungry(g);
}

static struct webhook_call *call_new(struct webhook_posting *p, struct buf *body)
{
    struct webhook_group *g = p->group;
    struct webhook *w = g->webhook;
    char key[48], signature[WEBHOOK_SIGNATURE_SIZE] = "";
    snprintf(key, sizeof key, "%" PRIu64 "-%" PRIu32, p->ask.txid, p->ask.attempt);
    if (g->secret.len && !webhook_sign(buf_slice(&g->secret), buf_slice(body), signature))
        return NULL;
    const struct webhook_post post = {
        .base = w->base,
        .resolver = w->resolver,
        .allow = w->allow,
        .url = &g->url,
        .key = key,
        .signature = g->secret.len ? signature : NULL,
        .timeout_ms = config_num(w->server->config, SET_webhook_timeout),
        .done = on_answer,
        .arg = p,
    };
    return webhook_call_new(&post, body);
}

static void posting_add(struct webhook_posting *p)
{
    struct webhook_group *g = p->group;
    p->next = g->postings;
    if (p->next)
        p->next->prev = p;
    g->postings = p;
    g->n_postings++;
    g->webhook->n_postings++;
    g->bytes += p->bytes;
    g->webhook->bytes += p->bytes;
    metrics_add(metrics_of(g), METRIC_WEBHOOK_IN_FLIGHT, 1);
}

/* False: no memory for it now. */
static bool post(struct webhook_group *g, const struct check *check)
{
    struct buf body;
    struct webhook_posting *p = calloc(1, sizeof *p);
    buf_init(&body, REPLY_BYTES_MAX);
    bool made = p && json_from_reply(check->object, &body);
    if (made) {
        *p = (struct webhook_posting){.group = g, .ask = check->ask, .bytes = body.len};
        p->call = call_new(p, &body);
    }
    buf_free(&body);
    if (!made || !p->call) {
        free(p);
        return false;
    }
    posting_add(p);
    return true;
}

/* ---- pulling ---- */

static uint32_t used_of_url(const struct webhook_group *g)
{
    uint32_t used = 0;
    for (const struct webhook_group *at = g->webhook->groups; at; at = at->next) {
        if (strcmp(at->url.authority, g->url.authority) == 0 &&
            strcmp(at->url.target, g->url.target) == 0)
            used += at->n_postings + at->wanted;
    }
    return used;
}

static uint32_t room_of(const struct webhook_group *g)
{
    const struct webhook *w = g->webhook;
    const struct config *c = w->server->config;
    uint32_t most = (uint32_t)config_num(c, SET_webhook_concurrency), used = used_of_url(g);
    uint32_t all = w->n_postings + w->wanted;
    size_t bytes_max = (size_t)config_num(c, SET_memory) / 16;
    if (used >= most || g->bytes >= GROUP_BYTES_SOFT)
        return 0;
    if (g->down || all >= WEBHOOK_POSTS_MAX || w->bytes >= bytes_max)
        return g->n_postings == 0 ? 1 : 0;
    return most - used < WEBHOOK_POSTS_MAX - all ? most - used : WEBHOOK_POSTS_MAX - all;
}

static void take(struct webhook_group *g, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    bool all = true, opened = check_list_open(reply, &list);
    unask_init(&u);
    while (opened && check_list_next(&list, &check)) {
        if (!g->gone && !g->webhook->stopping && post(g, &check))
            continue;
        unask_one(g->webhook, &u, check.ask);
        all = false;
    }
    submit_unask(g->webhook, &u);
    unask_fini(&u);
    if (!all && !g->gone && !g->webhook->stopping) {
        g->not_before_ms = timers_now() + BUSY_MS;
        tell(g, "no memory to POST a check-back; it is tried again", "no memory");
    }
}

static void pulled_nothing(struct webhook_group *g, const struct entry *e)
{
    if (g->seen >= e->index) {
        webhook_group_pull(g); /* news came meanwhile */
    } else if (e->out.retry_at_ms) {
        int64_t delay = e->out.retry_at_ms - journal_now_ms(g->webhook->server->journal);
        look_again(g, delay > 0 ? delay : 1);
    }
}

static void pulled(struct journal_client *owner, struct entry *e)
{
    struct webhook_group *g = e->arg;
    (void)owner;
    g->webhook->wanted -= g->wanted;
    g->wanted = 0;
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL)) {
        look_again(g, BUSY_MS);
    } else if (e->out.nothing) {
        pulled_nothing(g, e);
    } else {
        take(g, buf_slice(&e->out.reply));
        webhook_group_pull(g);
    }
    feed_hungry(g); /* it may have got less than it had room for */
    entry_free(e);
}

void webhook_group_pull(struct webhook_group *g)
{
    struct webhook *w = g->webhook;
    if (g->gone || g->wanted || w->stopping)
        return;
    int64_t pause_ms = g->not_before_ms - timers_now();
    if (pause_ms > 0) {
        look_again(g, pause_ms);
        return;
    }
    uint32_t room = room_of(g);
    g->hungry = room == 0;
    if (g->hungry)
        return; /* until something ends */
    char text[12];
    snprintf(text, sizeof text, "%" PRIu32, room);
    struct option count = {.id = OPT_ID_COUNT, .v = slice_str(text), .n = room};
    struct command cmd = {.info = command_info(CMD_CHECKS),
                          .n_pos = 1,
                          .n_opt = 1,
                          .pos = {name_of(g)},
                          .opt = &count,
                          .has = OPT(COUNT)};
    if (!webhook_submit(w, &cmd, pulled, g)) {
        look_again(g, BUSY_MS);
        return;
    }
    g->wanted = room;
    w->wanted += room;
}

/* ---- birth and death ---- */

void webhook_group_free(struct webhook_group *g)
{
    if (g->again)
        event_free(g->again);
    buf_free(&g->name);
    buf_free(&g->url_text);
    buf_free(&g->secret);
    free(g);
}

struct webhook_group *webhook_group_new(struct webhook *w, struct slice name, struct slice url,
                                        struct slice secret)
{
    struct webhook_group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->webhook = w;
    g->key = news_key(NEWS_PGROUP, name, slice_of(NULL, 0));
    g->again_ms = INT64_MAX;
    buf_init(&g->name, 0);
    buf_init(&g->url_text, 0);
    buf_init(&g->secret, 0);
    buf_put_slice(&g->name, name);
    buf_put_slice(&g->url_text, url);
    buf_put_slice(&g->secret, secret);
    g->again = evtimer_new(w->base, on_again, g);
    bool made = g->again && !g->name.failed && !g->url_text.failed && !g->secret.failed;
    if (made && webhook_url_parse(url, &g->url)) {
        members_join(w->server->members, g->key);
        return g;
    }
    tell(g, "this CHECKURL cannot be used", made ? "it is no URL" : "no memory");
    webhook_group_free(g);
    return NULL;
}

void webhook_group_retire(struct webhook_group *g)
{
    set_down(g, false);
    members_leave(g->webhook->server->members, g->key);
    g->gone = true;
    event_del(g->again);
}

bool webhook_group_idle(const struct webhook_group *g)
{
    return g->n_postings == 0 && g->wanted == 0;
}

void webhook_group_take_back(struct webhook_group *g)
{
    struct unask u;
    unask_init(&u);
    while (g->postings) {
        struct webhook_posting *p = g->postings;
        unask_one(g->webhook, &u, p->ask);
        webhook_call_free(p->call);
        posting_end(p);
    }
    submit_unask(g->webhook, &u);
    unask_fini(&u);
}
