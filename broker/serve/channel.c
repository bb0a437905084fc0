/*
 * channel.c: keeps the channels in a hash table, by the key of the news that concerns them, and the pending ones
 * in a list.
 *
 * To add a kind of channel: a value in enum channel_kind, a line in `channel_kinds`, what runs it (channels_init),
 * and what makes it pending.
 */
#include "broker/serve/channel.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/checks/members.h"
#include "broker/net/conn.h"
#include "protocol/base/text.h"

struct channel_info {
    const char *prefix;
    enum news_kind news;
    bool system_names; /* may the subject have a '%'? */
};

static const struct channel_info channel_kinds[] = {
    [CHANNEL_TOPIC] = {"topic:", NEWS_TOPIC, true},
    [CHANNEL_CHECK] = {"check:", NEWS_PGROUP, false},
};

#define RUN_NS INT64_C(3000000) /* at a time: then the loop looks at its sockets */

static const struct slice channel_no_slice = {NULL, 0};

/* What a connection is charged with for a subscription: as if the channel were its own, with a few queues. */
#define SUBSCRIPTION_COST (sizeof(struct subscription) + sizeof(struct channel) + 2 * NAME_BYTES_MAX)

enum status channel_parse(struct slice name, enum channel_kind *ret_kind, struct slice *ret_subject)
{
    for (unsigned i = 0; i < sizeof channel_kinds / sizeof *channel_kinds; i++) {
        size_t n = strlen(channel_kinds[i].prefix);
        if (name.len < n || memcmp(name.data, channel_kinds[i].prefix, n) != 0)
            continue;
        struct slice subject = slice_of(name.data + n, name.len - n);
        if (!text_name_ok(subject, !channel_kinds[i].system_names))
            return ST_BADNAME;
        *ret_kind = (enum channel_kind)i;
        *ret_subject = subject;
        return ST_OK;
    }
    return ST_ERR;
}

/* ---- channels ---- */

void channels_init(struct channels *cs, struct loop *l, struct members *members, channel_run *topic,
                   channel_run *check)
{
    *cs = (struct channels){.loop = l, .members = members, .run = {[CHANNEL_TOPIC] = topic, [CHANNEL_CHECK] = check}};
}

void channels_fini(struct channels *cs)
{
    assert(cs->all.n == 0);
    hash_free(&cs->all);
}

struct channel *channel_find(struct channels *cs, enum channel_kind kind, struct slice subject)
{
    uint64_t key = news_key(channel_kinds[kind].news, subject, channel_no_slice);
    struct channel *ch = (struct channel *)hash_first(&cs->all, key);
    while (ch && !(ch->kind == kind && slice_equal(ch->subject, subject)))
        ch = (struct channel *)hash_more(&ch->node);
    return ch;
}

static void channel_set_pending(struct channel *ch)
{
    struct channels *p = ch->set;
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

static void channel_clear_pending(struct channel *ch)
{
    struct channels *p = ch->set;
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

static void channel_retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    channel_set_pending((struct channel *)((char *)t - offsetof(struct channel, retry)));
}

static struct channel *channel_new(struct channels *cs, enum channel_kind kind, struct slice subject)
{
    size_t prefix = strlen(channel_kinds[kind].prefix);
    struct channel *ch = calloc(1, sizeof *ch + prefix + subject.len);
    if (!ch)
        return NULL;
    ch->set = cs;
    ch->kind = kind;
    ch->retry.fire = channel_retry_fires;
    ch->name_len = prefix + subject.len;
    memcpy(ch->name, channel_kinds[kind].prefix, prefix);
    memcpy(ch->name + prefix, subject.data, subject.len);
    ch->subject = slice_of(ch->name + prefix, subject.len);
    if (kind == CHANNEL_TOPIC) {
        struct view *v = loop_view(cs->loop);
        if (!v || follower_init(&ch->follower, v, ch->subject) != ST_OK) {
            free(ch);
            return NULL;
        }
    }
    hash_add(&cs->all, &ch->node, news_key(channel_kinds[kind].news, subject, channel_no_slice));
    if (kind == CHANNEL_CHECK)
        channel_set_pending(ch); /* checks may be due already */
    return ch;
}

static void channel_drop(struct channel *ch)
{
    struct channels *cs = ch->set;
    hash_remove(&cs->all, &ch->node);
    channel_clear_pending(ch);
    timer_clear(&cs->loop->timers, &ch->retry);
    if (ch->kind == CHANNEL_TOPIC)
        follower_fini(&ch->follower);
    free(ch);
}

/* ---- subscriptions ---- */

static struct subscription *channel_subscription_of(const struct subscriber *who, const struct channel *ch)
{
    struct subscription *s = who->first;
    while (s && s->channel != ch)
        s = s->next_mine;
    return s;
}

static void channel_link_in(struct subscription *s, struct conn *c, struct subscriber *who, struct channel *ch)
{
    *s = (struct subscription){
        .channel = ch, .conn = c, .who = who, .prev = ch->last, .next_mine = who->first};
    if (ch->last)
        ch->last->next = s;
    else
        ch->first = s;
    ch->last = s;
    if (who->first)
        who->first->prev_mine = s;
    who->first = s;
    who->n++;
    conn_keep(c, SUBSCRIPTION_COST);
    if (ch->kind == CHANNEL_CHECK)
        members_join(ch->set->members, ch->node.hash);
    counters_add(&ch->set->loop->counters, COUNTER_SUBSCRIBERS, 1);
}

static void channel_link_out(struct subscription *s)
{
    struct subscriber *who = s->who;
    struct channel *ch = s->channel;
    *(s->prev ? &s->prev->next : &ch->first) = s->next;
    *(s->next ? &s->next->prev : &ch->last) = s->prev;
    *(s->prev_mine ? &s->prev_mine->next_mine : &who->first) = s->next_mine;
    if (s->next_mine)
        s->next_mine->prev_mine = s->prev_mine;
    who->n--;
    if (ch->at == s)
        ch->at = s->next;
    conn_keep_no_more(s->conn, SUBSCRIPTION_COST);
    if (ch->kind == CHANNEL_CHECK)
        members_leave(ch->set->members, ch->node.hash);
    counters_sub(&ch->set->loop->counters, COUNTER_SUBSCRIBERS, 1);
    free(s);
    if (!ch->first)
        channel_drop(ch);
}

enum status channel_join(struct channels *cs, struct conn *c, struct subscriber *who, enum channel_kind kind,
                         struct slice subject)
{
    struct channel *ch = channel_find(cs, kind, subject);
    if (ch && channel_subscription_of(who, ch))
        return ST_OK;
    if (who->n >= SUBSCRIPTIONS_MAX)
        return ST_LIMIT;
    struct subscription *s = malloc(sizeof *s);
    if (!s)
        return ST_NOMEM;
    if (!ch)
        ch = channel_new(cs, kind, subject);
    if (!ch) {
        free(s);
        return ST_NOMEM;
    }
    channel_link_in(s, c, who, ch);
    return ST_OK;
}

void channel_leave(struct subscriber *who, struct channel *ch)
{
    struct subscription *s = channel_subscription_of(who, ch);
    if (s)
        channel_link_out(s);
}

void channels_leave(struct subscriber *who)
{
    while (who->first)
        channel_link_out(who->first);
}

void channel_move_to_end(struct channel *ch, struct subscription *s)
{
    if (s == ch->last)
        return;
    *(s->prev ? &s->prev->next : &ch->first) = s->next;
    s->next->prev = s->prev;
    s->prev = ch->last;
    s->next = NULL;
    ch->last->next = s;
    ch->last = s;
}

/* ---- what is new ---- */

void channels_news(struct channels *cs, const struct news *news)
{
    const struct hash *all = &cs->all;
    if (!all->n || !news->index)
        return;
    for (struct hash_node *node = news->overflow ? hash_walk(all, NULL) : NULL; node; node = hash_walk(all, node))
        channel_set_pending((struct channel *)node);
    for (uint32_t i = 0; i < news->n; i++) {
        for (struct hash_node *node = hash_first(all, news->keys[i]); node; node = hash_more(node))
            channel_set_pending((struct channel *)node);
    }
}

bool channels_run(struct channels *cs)
{
    const struct channel *last = cs->last_pending;
    int64_t end = cs->first_pending ? clock_mono_ns() + RUN_NS : 0;
    for (struct channel *ch; (ch = cs->first_pending);) {
        bool is_last = ch == last;
        cs->first_pending = ch->next_pending;
        if (!cs->first_pending)
            cs->last_pending = NULL;
        ch->pending = false;
        if (cs->run[ch->kind](ch))
            channel_set_pending(ch);
        if (is_last || clock_mono_ns() >= end)
            break;
    }
    return cs->first_pending != NULL;
}
