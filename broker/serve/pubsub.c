/*
 * pubsub.c: channels in a small hash table by the key of the news that concerns them.
 *
 * A topic's new messages are read once a loop, a portion a turn (PORTION_BYTES), and appended to
 * each subscriber's output. To add a kind of channel: a line in `kinds`, and what makes it pending.
 */
#include "broker/serve/pubsub.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/serve/checkback.h"
#include "broker/net/loop_inner.h"
#include "broker/checks/members.h"
#include "broker/serve/waiter.h"
#include "protocol/base/text.h"

#define PORTION_BYTES ((size_t)MIB(1))

struct channel_info {
    const char *prefix;
    enum news_kind news;
    bool system_names; /* may the subject have a '%'? */
};

static const struct channel_info kinds[] = {
    [CHANNEL_TOPIC] = {"topic:", NEWS_TOPIC, true},
    [CHANNEL_CHECK] = {"check:", NEWS_PGROUP, false},
};

static const struct slice no_slice = {NULL, 0};

/* Reads "topic:orders". ST_ERR: no such kind, ST_BADNAME. */
static enum status read_name(struct slice name, enum channel_kind *ret_kind,
                             struct slice *ret_subject)
{
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);
        if (name.len < n || memcmp(name.data, kinds[i].prefix, n) != 0)
            continue;
        struct slice subject = slice_of(name.data + n, name.len - n);
        if (!text_name_ok(subject, !kinds[i].system_names))
            return ST_BADNAME;
        *ret_kind = (enum channel_kind)i;
        *ret_subject = subject;
        return ST_OK;
    }
    return ST_ERR;
}

static struct slice channel_name(const struct channel *ch)
{
    return slice_of(ch->name, ch->name_len);
}

/* ---- channels ---- */

static struct channel *find(struct loop *l, enum channel_kind kind, struct slice subject)
{
    uint64_t key = news_key(kinds[kind].news, subject, no_slice);
    struct channel *ch = l->pubsub.buckets[key % CHANNEL_BUCKETS];
    while (ch && !(ch->kind == kind && slice_equal(ch->subject, subject)))
        ch = ch->next;
    return ch;
}

struct channel *pubsub_find_check(struct loop *l, struct slice pgroup)
{
    return find(l, CHANNEL_CHECK, pgroup);
}

static void set_pending(struct channel *ch)
{
    struct pubsub *p = &ch->loop->pubsub;
    if (ch->pending)
        return;
    ch->pending = true;
    ch->next_pending = NULL;
    if (p->last_pending)
        p->last_pending->next_pending = ch;
    else
        p->first_pending = ch;
    p->last_pending = ch;
}

static void clear_pending(struct channel *ch)
{
    struct pubsub *p = &ch->loop->pubsub;
    if (!ch->pending)
        return;
    struct channel *before = NULL;
    for (struct channel *at = p->first_pending; at != ch; at = at->next_pending)
        before = at;
    if (before)
        before->next_pending = ch->next_pending;
    else
        p->first_pending = ch->next_pending;
    if (p->last_pending == ch)
        p->last_pending = before;
    ch->pending = false;
}

static void retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    set_pending((struct channel *)((char *)t - offsetof(struct channel, retry)));
}

static enum status follow(struct channel *ch)
{
    struct view *v = loop_view(ch->loop);
    return v ? follower_init(&ch->follower, v, ch->subject) : ST_NOMEM;
}

static struct channel *channel_new(struct loop *l, enum channel_kind kind, struct slice subject)
{
    size_t prefix = strlen(kinds[kind].prefix);
    struct channel *ch = calloc(1, sizeof *ch + prefix + subject.len);
    if (!ch)
        return NULL;
    ch->loop = l;
    ch->kind = kind;
    ch->key = news_key(kinds[kind].news, subject, no_slice);
    ch->retry.fire = retry_fires;
    ch->name_len = prefix + subject.len;
    memcpy(ch->name, kinds[kind].prefix, prefix);
    memcpy(ch->name + prefix, subject.data, subject.len);
    ch->subject = slice_of(ch->name + prefix, subject.len);
    if (kind == CHANNEL_TOPIC && follow(ch) != ST_OK) {
        free(ch);
        return NULL;
    }
    struct channel **bucket = &l->pubsub.buckets[ch->key % CHANNEL_BUCKETS];
    ch->next = *bucket;
    *bucket = ch;
    l->pubsub.n_channels++;
    if (kind == CHANNEL_CHECK)
        set_pending(ch); /* the first taker: there may be checks that wait already */
    return ch;
}

static void channel_drop(struct channel *ch)
{
    struct loop *l = ch->loop;
    struct channel **at = &l->pubsub.buckets[ch->key % CHANNEL_BUCKETS];
    while (*at != ch)
        at = &(*at)->next;
    *at = ch->next;
    clear_pending(ch);
    timer_clear(&l->timers, &ch->retry);
    if (ch->kind == CHANNEL_TOPIC)
        follower_fini(&ch->follower);
    l->pubsub.n_channels--;
    free(ch);
}

/* ---- standing in them ---- */

static struct subscription *subscription_of(struct conn *c, const struct channel *ch)
{
    struct subscription *s = c->subscriptions;
    while (s && s->channel != ch)
        s = s->next_mine;
    return s;
}

static void link_in(struct subscription *s, struct conn *c, struct channel *ch)
{
    *s = (struct subscription){
        .channel = ch, .conn = c, .prev = ch->last, .next_mine = c->subscriptions};
    if (ch->last)
        ch->last->next = s;
    else
        ch->first = s;
    ch->last = s;
    if (c->subscriptions)
        c->subscriptions->prev_mine = s;
    c->subscriptions = s;
    c->n_subscriptions++;
    if (ch->kind == CHANNEL_CHECK)
        members_join(c->loop->server->members, ch->key);
    counters_add(&c->loop->counters, COUNTER_SUBSCRIBERS, 1);
}

static void link_out(struct subscription *s)
{
    struct conn *c = s->conn;
    struct channel *ch = s->channel;
    *(s->prev ? &s->prev->next : &ch->first) = s->next;
    *(s->next ? &s->next->prev : &ch->last) = s->prev;
    *(s->prev_mine ? &s->prev_mine->next_mine : &c->subscriptions) = s->next_mine;
    if (s->next_mine)
        s->next_mine->prev_mine = s->prev_mine;
    c->n_subscriptions--;
    if (ch->kind == CHANNEL_CHECK)
        members_leave(c->loop->server->members, ch->key);
    counters_sub(&c->loop->counters, COUNTER_SUBSCRIBERS, 1);
    free(s);
    if (!ch->first)
        channel_drop(ch);
}

static enum status join(struct conn *c, enum channel_kind kind, struct slice subject)
{
    struct loop *l = c->loop;
    struct channel *ch = find(l, kind, subject);
    if (ch && subscription_of(c, ch))
        return ST_OK;
    if (c->n_subscriptions >= SUBSCRIPTIONS_MAX)
        return ST_LIMIT;
    struct subscription *s = malloc(sizeof *s);
    if (!s)
        return ST_NOMEM;
    if (!ch)
        ch = channel_new(l, kind, subject);
    if (!ch) {
        free(s);
        return ST_NOMEM;
    }
    link_in(s, c, ch);
    return ST_OK;
}

enum status pubsub_serve(struct conn *c, struct slice pgroup)
{
    return join(c, CHANNEL_CHECK, pgroup);
}

void pubsub_leave(struct conn *c)
{
    while (c->subscriptions)
        link_out(c->subscriptions);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void answer_channel(struct conn *c, const char *word, const struct slice *name)
{
    struct buf *r = loop_reply(c->loop);
    reply_push(r, 3);
    reply_bulk_str(r, word);
    if (name)
        reply_bulk(r, *name);
    else
        reply_null(r);
    reply_int(r, c->n_subscriptions);
    conn_answer(c, (struct request){0}, buf_slice(r));
}

/* MessagePack-RPC has one answer a request: how many channels there are now. */
static void answer_count(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_int(r, c->n_subscriptions);
    conn_answer(c, rq, buf_slice(r));
}

static bool refuse_name(struct conn *c, struct request rq, struct slice name, enum status s)
{
    char quoted[160], text[512];
    text_quote(name, 128, quoted, sizeof quoted);
    if (s == ST_BADNAME)
        snprintf(text, sizeof text, "the name in channel '%s' must be 1..%d of A-Z a-z 0-9 . _ -",
                 quoted, NAME_BYTES_MAX);
    else
        snprintf(text, sizeof text,
                 "unknown channel '%s': it must be topic:<topic> or check:<producer group>",
                 quoted);
    conn_refuse(c, rq, s, text);
    return false;
}

/* All names or none: a half-done SUBSCRIBE would leave the client guessing. */
static bool check_names(struct conn *c, const struct command *cmd, struct request rq)
{
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        enum channel_kind kind;
        struct slice subject;
        enum status s = read_name(cmd->rest[i], &kind, &subject);
        if (s != ST_OK)
            return refuse_name(c, rq, cmd->rest[i], s);
    }
    return true;
}

static bool join_name(struct conn *c, struct slice name, struct request rq)
{
    enum channel_kind kind = CHANNEL_TOPIC;
    struct slice subject = no_slice;
    enum status s = read_name(name, &kind, &subject);
    assert(s == ST_OK);
    s = join(c, kind, subject);
    if (s == ST_OK)
        return true;
    char text[128];
    snprintf(text, sizeof text, "a connection may stand in %d channels, no more",
             SUBSCRIPTIONS_MAX);
    conn_refuse(c, rq, s, s == ST_LIMIT ? text : NULL);
    return false;
}

void pubsub_subscribe(struct conn *c, const struct command *cmd, struct request rq)
{
    if (!check_names(c, cmd, rq))
        return;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        if (!join_name(c, cmd->rest[i], rq))
            return;
        if (c->dialect == DIALECT_RESP)
            answer_channel(c, "subscribe", &cmd->rest[i]);
    }
    if (c->dialect == DIALECT_RPC)
        answer_count(c, rq);
}

static void leave_name(struct conn *c, struct slice name)
{
    enum channel_kind kind;
    struct slice subject;
    if (read_name(name, &kind, &subject) != ST_OK)
        return;
    struct channel *ch = find(c->loop, kind, subject);
    struct subscription *s = ch ? subscription_of(c, ch) : NULL;
    if (s)
        link_out(s);
}

static void leave_all(struct conn *c)
{
    if (!c->subscriptions && c->dialect == DIALECT_RESP)
        answer_channel(c, "unsubscribe", NULL);
    while (c->subscriptions) {
        char copy[NAME_BYTES_MAX + 16];
        struct slice name = channel_name(c->subscriptions->channel);
        assert(name.len <= sizeof copy);
        memcpy(copy, name.data, name.len); /* the channel may end with its last subscriber */
        name.data = (const uint8_t *)copy;
        link_out(c->subscriptions);
        if (c->dialect == DIALECT_RESP)
            answer_channel(c, "unsubscribe", &name);
    }
}

void pubsub_unsubscribe(struct conn *c, const struct command *cmd, struct request rq)
{
    if (!check_names(c, cmd, rq))
        return;
    if (cmd->n_rest == 0)
        leave_all(c);
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        leave_name(c, cmd->rest[i]);
        if (c->dialect == DIALECT_RESP)
            answer_channel(c, "unsubscribe", &cmd->rest[i]);
    }
    if (c->dialect == DIALECT_RPC)
        answer_count(c, rq);
}

/* ---- what is new ---- */

void pubsub_push(struct conn *c, const struct channel *ch, struct slice payload)
{
    struct buf *out = conn_out(c);
    if (c->dialect == DIALECT_RPC) {
        rpc_put_notify(out, "message");
        rpc_put_list(out, 1);
        rpc_put_map(out, 2);
        rpc_put_str(out, SLICE_LIT("channel"));
        rpc_put_str(out, channel_name(ch));
        rpc_put_str(out, SLICE_LIT("body"));
        rpc_put_bin(out, payload);
    } else {
        struct buf *r = loop_reply(c->loop);
        reply_push(r, 3);
        reply_bulk_str(r, "message");
        reply_bulk(r, channel_name(ch));
        reply_bulk(r, payload);
        if (r->failed)
            out->failed = true;
        else
            resp_write(out, buf_slice(r), c->proto);
    }
    conn_pushed(c);
}

static void copy_to_all(void *arg, struct slice body)
{
    const struct channel *ch = arg;
    for (struct subscription *s = ch->first; s; s = s->next) {
        if (!s->conn->doomed)
            pubsub_push(s->conn, ch, body);
    }
}

void pubsub_news(struct loop *l, const struct news *news)
{
    struct pubsub *p = &l->pubsub;
    if (!p->n_channels || !news->index)
        return;
    for (uint32_t i = 0; i < CHANNEL_BUCKETS && news->overflow; i++) {
        for (struct channel *ch = p->buckets[i]; ch; ch = ch->next)
            set_pending(ch);
    }
    for (uint32_t i = 0; i < news->n; i++) {
        for (struct channel *ch = p->buckets[news->keys[i] % CHANNEL_BUCKETS]; ch; ch = ch->next) {
            if (ch->key == news->keys[i])
                set_pending(ch);
        }
    }
}

static bool run_channel(struct channel *ch)
{
    if (ch->kind == CHANNEL_CHECK) {
        checkback_pull(ch);
        return false;
    }
    struct view *v = loop_view(ch->loop);
    return !v || follower_read(&ch->follower, v, ch->subject, PORTION_BYTES, copy_to_all, ch);
}

bool pubsub_run(struct loop *l)
{
    struct pubsub *p = &l->pubsub;
    struct channel *ch = p->first_pending;
    p->first_pending = p->last_pending = NULL;
    while (ch) {
        struct channel *next = ch->next_pending;
        ch->pending = false;
        if (run_channel(ch))
            set_pending(ch);
        ch = next;
    }
    return p->first_pending != NULL;
}
