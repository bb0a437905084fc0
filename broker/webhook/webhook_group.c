/*
 * webhook_group.c: asks the store for what is due of one producer group, POSTs it, and submits what is answered.
 *
 *   pull ── room? ──► CHECKS pgroup COUNT room ──┬─ nothing ──► wait for news, or until retry_at
 *     ▲                                          └─ objects ──► POST each
 *     │                                                           │
 *     └── news, time, a request that ends ◄── decision, pause ◄───┘
 *
 * webhook_room.h says whether there is room: at the URL, and for requests and bytes in flight. A group that finds none
 * stands in line. It pulls when a request or a CHECKS of any group ends, since the CHECKS may have needed less room
 * than it had reserved. One CHECKS answers at most REPLY_BYTES_SOFT and one transaction more.
 *
 * After a connection has failed there is a pause. Then one request is sent alone; only when it is connected do others
 * follow.
 */
#include "broker/webhook/webhook_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/base/timers.h"
#include "broker/checks/asked.h"
#include "broker/checks/check_list.h"
#include "broker/webhook/webhook_sign.h"
#include "protocol/base/text.h"

#define PAUSE_MS_MIN 1000
#define PAUSE_MS_MAX 60000
#define BUSY_MS 1000
#define EVENT_BYTES 128 /* about what libevent keeps of a timer */
#define LOG_MS 10000 /* one line a group in this time */

static struct counters *webhook_group_counters(struct webhook_group *g)
{
    return g->shared->counters;
}

/* ---- when to look again ---- */

static void webhook_group_look_again(struct webhook_group *g, int64_t delay_ms)
{
    int64_t at = timers_now() + delay_ms;
    if (at >= g->again_ms)
        return;
    const struct timeval tv = {.tv_sec = (time_t)(delay_ms / 1000),
                               .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
    if (event_add(g->again, &tv) == 0)
        g->again_ms = at;
}

static void webhook_group_on_again(evutil_socket_t fd, short what, void *arg)
{
    struct webhook_group *g = arg;
    (void)fd, (void)what;
    g->again_ms = INT64_MAX;
    webhook_group_pull(g);
}

/* ---- the log ---- */

static void webhook_group_tell(struct webhook_group *g, const char *text, const char *why)
{
    int64_t now = timers_now();
    char quoted[256], url[256];
    struct webhook_url u = {0};
    if (g->logged_ms && now - g->logged_ms < LOG_MS) {
        g->unlogged++;
        return;
    }
    (void)webhook_url_parse(g->url, &u); /* of the URL no more than the host: the rest may be secret */
    log_event(LOG_WARN, text, " pgroup=%.*s url=%s reason=%s unlogged=%" PRIu32, (int)g->name.len,
              (const char *)g->name.data, log_quote(u.authority, url, sizeof url),
              log_quote(why, quoted, sizeof quoted), g->unlogged);
    g->logged_ms = now;
    g->unlogged = 0;
}

/* ---- decisions ---- */

static void webhook_group_decided(struct journal_client *owner, struct entry *e)
{
    enum status s;
    (void)owner;
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), &s))
        log_event(LOG_DEBUG, "a webhook's decision was refused", " command=%s", e->cmd.info->words);
    entry_free(e);
}

static void webhook_group_decide(struct webhook_group *g, enum command_id id, uint64_t txid)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, txid);
    struct command cmd = {.info = command_info(id), .n_pos = 1, .pos = {slice_str(text)}};
    if (!webhook_submit(g->shared, &cmd, webhook_group_decided, NULL))
        webhook_group_tell(g, "cannot submit a webhook's decision; it will be asked again", "the journal is full");
}

static void webhook_group_taken_back(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    entry_free(e);
}

static void webhook_group_submit_unask(struct webhook_shared *w, struct unask *u)
{
    struct command cmd;
    if (u->n > 0 && (!unask_command(u, &cmd) || !webhook_submit(w, &cmd, webhook_group_taken_back, NULL)))
        log_text(LOG_DEBUG, "cannot take back check-backs now; they are asked again later");
}

static void webhook_group_unask_one(struct webhook_shared *w, struct unask *u, struct ask ask)
{
    unask_add(u, ask);
    if (unask_full(u))
        webhook_group_submit_unask(w, u);
}

static void webhook_group_unask(struct webhook_shared *w, struct ask ask)
{
    struct unask u;
    unask_init(&u);
    webhook_group_unask_one(w, &u, ask);
    webhook_group_submit_unask(w, &u);
    unask_fini(&u);
}

/* The answer decides if it is a 200 with one of three words; else the command is UNKNOWN and *ret_why says why. */
static enum command_id webhook_group_read_answer(const struct webhook_answer *a, const char **ret_why)
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

static void webhook_group_tell_undecided(struct webhook_group *g, const struct webhook_answer *a, const char *why)
{
    char text[96];
    counters_add(webhook_group_counters(g), COUNTER_WEBHOOK_UNDECIDED, 1);
    if (a->status >= 300 && a->status < 400) {
        if (!g->redirect_logged)
            log_event(LOG_WARN, "a CHECKURL redirects, which is not followed: set it to the final URL",
                      " pgroup=%.*s status=%d", (int)g->name.len, (const char *)g->name.data,
                      a->status);
        g->redirect_logged = true;
        return;
    }
    if (a->end == CALL_ANSWERED && a->status != 200) {
        snprintf(text, sizeof text, "status %d", a->status);
        why = text;
    }
    webhook_group_tell(g, "a CHECKURL did not decide; it will be asked again", why);
}

/* ---- requests ---- */

static void webhook_group_set_down(struct webhook_group *g, bool down)
{
    struct members *members = g->shared->members;
    if (g->down == down || g->gone)
        return;
    g->down = g->share.alone = down;
    if (down) {
        counters_add(webhook_group_counters(g), COUNTER_WEBHOOKS_DOWN, 1);
        members_leave(members, g->node.hash);
    } else {
        counters_sub(webhook_group_counters(g), COUNTER_WEBHOOKS_DOWN, 1);
        members_join(members, g->node.hash);
    }
}

static void webhook_group_not_connected(struct webhook_group *g, struct ask ask, const char *why)
{
    int64_t now = timers_now();
    counters_add(webhook_group_counters(g), COUNTER_WEBHOOK_FAILURES, 1);
    if (now >= g->not_before_ms) { /* of several that fail together, the first makes the pause */
        g->pause_ms = g->down ? 2 * g->pause_ms : PAUSE_MS_MIN;
        if (g->pause_ms > PAUSE_MS_MAX)
            g->pause_ms = PAUSE_MS_MAX;
        g->not_before_ms = now + g->pause_ms;
    }
    webhook_group_set_down(g, true);
    room_judge(&g->shared->room, &g->share, false);
    webhook_group_tell(g, "a CHECKURL cannot be reached; it is tried again, and this does not count as an ask", why);
    webhook_group_unask(g->shared, ask);
}

static void webhook_group_reached(struct webhook_group *g, struct ask ask, const struct webhook_answer *a)
{
    const char *why = NULL;
    counters_add(webhook_group_counters(g), COUNTER_CHECKS_HANDED, 1);
    counters_add(webhook_group_counters(g), COUNTER_WEBHOOK_CALLS, 1);
    webhook_group_set_down(g, false);
    room_judge(&g->shared->room, &g->share, a->end == CALL_ANSWERED);
    g->not_before_ms = 0;
    enum command_id id = webhook_group_read_answer(a, &why);
    if (why)
        webhook_group_tell_undecided(g, a, why);
    webhook_group_decide(g, id, ask.txid);
}

static void webhook_group_posting_end(struct webhook_posting *p)
{
    struct webhook_group *g = p->group;
    *(p->prev ? &p->prev->next : &g->postings) = p->next;
    if (p->next)
        p->next->prev = p->prev;
    g->n_postings--;
    room_give(&g->shared->room, &g->share, 1);
    room_bytes(&g->shared->room, &g->share, 0, p->bytes);
    counters_sub(webhook_group_counters(g), COUNTER_WEBHOOK_IN_FLIGHT, 1);
    free(p);
}

static void webhook_group_on_answer(void *arg, const struct webhook_answer *answer)
{
    struct webhook_posting *p = arg;
    struct webhook_group *g = p->group;
    struct ask ask = p->ask;
    if (answer->end == CALL_NOT_CONNECTED)
        webhook_group_not_connected(g, ask, answer->why);
    else
        webhook_group_reached(g, ask, answer);
    webhook_group_posting_end(p); /* last: who sees that it is no longer in flight sees what came of it */
    room_feed(&g->shared->room, &g->share);
}

static struct webhook_call *webhook_group_call_new(struct webhook_posting *p, struct buf *body)
{
    struct webhook_group *g = p->group;
    struct webhook_shared *w = g->shared;
    char key[48], signature[WEBHOOK_SIGNATURE_SIZE] = "";
    snprintf(key, sizeof key, "%" PRIu64 "-%" PRIu32, p->ask.txid, p->ask.attempt);
    struct webhook_url url;
    if (!webhook_url_parse(g->url, &url) ||
        (g->secret.len && !webhook_sign(g->secret, buf_slice(body), signature)))
        return NULL;
    const struct webhook_post post = {
        .base = w->base,
        .resolver = w->resolver,
        .pool = w->pool,
        .allow = w->allow,
        .url = &url,
        .key = key,
        .signature = g->secret.len ? signature : NULL,
        .timeout_ms = settings_num(w->settings, SET_webhook_timeout),
        .done = webhook_group_on_answer,
        .arg = p,
    };
    return webhook_call_new(&post, body);
}

static void webhook_group_posting_add(struct webhook_posting *p)
{
    struct webhook_group *g = p->group;
    p->next = g->postings;
    if (p->next)
        p->next->prev = p;
    g->postings = p;
    g->n_postings++;
    room_bytes(&g->shared->room, &g->share, p->bytes, 0);
    counters_add(webhook_group_counters(g), COUNTER_WEBHOOK_IN_FLIGHT, 1);
}

/* False: no memory for it now. */
static bool webhook_group_post(struct webhook_group *g, const struct check *check)
{
    struct buf body;
    struct webhook_posting *p = calloc(1, sizeof *p);
    buf_init(&body, REPLY_BYTES_MAX);
    bool made = p && json_from_reply(check->object, &body);
    if (made) {
        *p = (struct webhook_posting){.group = g, .ask = check->ask, .bytes = body.len};
        p->call = webhook_group_call_new(p, &body);
    }
    buf_free(&body);
    if (!made || !p->call) {
        free(p);
        return false;
    }
    webhook_group_posting_add(p);
    return true;
}

/* ---- pulling ---- */

/* POSTs a check. Of a long transaction, whose check is a note, this thread reads the messages: it is no loop. True: it was
 * sent, or is not to be asked any more, as it is decided, or cannot be read. */
static bool webhook_group_take_one(struct webhook_group *g, struct check *check)
{
    struct webhook_shared *w = g->shared;
    struct buf whole;
    if (!check->is_note)
        return webhook_group_post(g, check);
    struct view *v = journal_view(w->journal, &w->client);
    buf_init(&whole, REPLY_BYTES_MAX);
    enum status s = v ? asked_all(check->ask, v, &whole) : ST_NOMEM;
    view_close(v);
    check->object = buf_slice(&whole);
    bool done = s == ST_GONE || s == ST_DAMAGED || (s == ST_OK && webhook_group_post(g, check));
    buf_free(&whole);
    return done;
}

/* POSTs each check of the reply, which keeps one of the places that were taken for the CHECKS; gives back the
 * others. */
static void webhook_group_take(struct webhook_group *g, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    bool all = true, opened = check_list_open(reply, &list);
    unask_init(&u);
    while (opened && check_list_next(&list, &check)) {
        if (!g->gone && !g->shared->stopping && webhook_group_take_one(g, &check))
            continue;
        webhook_group_unask_one(g->shared, &u, check.ask);
        all = false;
    }
    webhook_group_submit_unask(g->shared, &u);
    unask_fini(&u);
    if (!all && !g->gone && !g->shared->stopping) {
        g->not_before_ms = timers_now() + BUSY_MS;
        webhook_group_tell(g, "no memory to POST a check-back; it is tried again", "no memory");
    }
}

/* CHECKS has found nothing. True: news about the group came meanwhile, so pull again; else it waits for time or
 * news. */
static bool webhook_group_pulled_nothing(struct webhook_group *g, const struct entry *e)
{
    if (g->seen >= e->index)
        return true;
    if (e->out.retry_at_ms) {
        int64_t delay = e->out.retry_at_ms - journal_now_ms(g->shared->journal);
        webhook_group_look_again(g, delay > 0 ? delay : 1);
    }
    return false;
}

static void webhook_group_pulled(struct journal_client *owner, struct entry *e)
{
    struct webhook_group *g = e->arg;
    bool more = false;
    (void)owner;
    uint32_t wanted = g->wanted, before = g->n_postings;
    g->wanted = 0;
    room_pulled(&g->shared->room);
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL)) {
        webhook_group_look_again(g, BUSY_MS);
    } else if (e->out.nothing) {
        more = webhook_group_pulled_nothing(g, e);
    } else {
        webhook_group_take(g, buf_slice(&e->out.reply));
        more = true;
    }
    room_give(&g->shared->room, &g->share, wanted - (g->n_postings - before));
    if (more)
        webhook_group_pull(g);
    room_feed(&g->shared->room, &g->share); /* it may have got less than it had room for */
    entry_free(e);
}

void webhook_group_pull(struct webhook_group *g)
{
    struct webhook_shared *w = g->shared;
    if (g->gone || g->wanted || w->stopping || !journal_in_charge(w->journal))
        return;
    int64_t pause_ms = g->not_before_ms - timers_now();
    if (pause_ms > 0) {
        webhook_group_look_again(g, pause_ms);
        return;
    }
    uint32_t room = room_take(&w->room, &g->share);
    if (room == 0)
        return; /* until something ends */
    char text[12];
    snprintf(text, sizeof text, "%" PRIu32, room);
    struct option count = {.id = OPT_ID_COUNT, .v = slice_str(text), .n = room};
    struct command cmd = {.info = command_info(CMD_CHECKS),
                          .n_pos = 1,
                          .n_opt = 1,
                          .pos = {g->name},
                          .opt = &count,
                          .has = OPT(COUNT)};
    if (!webhook_submit(w, &cmd, webhook_group_pulled, g)) {
        room_pulled(&w->room);
        room_give(&w->room, &g->share, room);
        webhook_group_look_again(g, BUSY_MS);
        return;
    }
    g->wanted = room;
}

void webhook_group_on_turn(struct room_share *s)
{
    webhook_group_pull((struct webhook_group *)(void *)((char *)s - offsetof(struct webhook_group, share)));
}

/* ---- birth and death ---- */

void webhook_group_free(struct webhook_group *g)
{
    if (g->share.url)
        room_leave(&g->shared->room, &g->share);
    if (g->again)
        event_free(g->again);
    free(g);
}

size_t webhook_group_size(const struct pgroup_hook *hook)
{
    return sizeof(struct webhook_group) + EVENT_BYTES + hook->pgroup.len + hook->url.len + hook->secret.len;
}

static struct slice webhook_group_put_text(uint8_t **at, struct slice text)
{
    uint8_t *to = *at;
    if (text.len)
        memcpy(to, text.data, text.len);
    *at += text.len;
    return slice_of(to, text.len);
}

/* The same for URLs that differ only in how they are written. */
static uint64_t webhook_group_url_key(const struct webhook_url *url)
{
    char text[sizeof url->authority + sizeof url->target];
    snprintf(text, sizeof text, "%s%s", url->authority, url->target);
    return text_hash(slice_str(text));
}

enum status webhook_group_new(struct webhook_shared *w, const struct pgroup_hook *hook, struct webhook_group **ret_group)
{
    struct webhook_url url;
    size_t size = webhook_group_size(hook);
    struct webhook_group *g = calloc(1, size - EVENT_BYTES);
    if (!g)
        return ST_NOMEM;
    uint8_t *at = g->text;
    g->shared = w;
    g->size = size;
    g->node.hash = news_key(NEWS_PGROUP, hook->pgroup, slice_of(NULL, 0));
    g->again_ms = INT64_MAX;
    g->name = webhook_group_put_text(&at, hook->pgroup);
    g->url = webhook_group_put_text(&at, hook->url);
    g->secret = webhook_group_put_text(&at, hook->secret);
    g->again = evtimer_new(w->base, webhook_group_on_again, g);
    bool parsed = webhook_url_parse(g->url, &url);
    if (parsed && g->again && room_join(&w->room, &g->share, webhook_group_url_key(&url))) {
        members_join(w->members, g->node.hash);
        *ret_group = g;
        return ST_OK;
    }
    webhook_group_tell(g, "this CHECKURL cannot be used", parsed ? "no memory" : "it is no URL");
    webhook_group_free(g);
    return parsed ? ST_NOMEM : ST_BAD;
}

void webhook_group_retire(struct webhook_group *g)
{
    webhook_group_set_down(g, false);
    members_leave(g->shared->members, g->node.hash);
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
        webhook_group_unask_one(g->shared, &u, p->ask);
        webhook_call_free(p->call);
        webhook_group_posting_end(p);
    }
    webhook_group_submit_unask(g->shared, &u);
    unask_fini(&u);
}
