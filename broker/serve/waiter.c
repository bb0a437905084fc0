/*
 * waiter.c: keeps queues of waiters in two hash tables: by the queue's own key, and by the topic whose news
 * concerns it too. A queue exists as long as it has a waiter.
 *
 * To add a command that can WAIT: say in `waiter_target` what it waits for.
 */
#include "broker/serve/waiter.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/journal/journal.h"
#include "broker/serve/redriven.h"

#define BY_ACK_LOOKS 16

/*
 * Waiters for one key. Invariant: the links are in the order in which the waiters first parked, whatever
 * state they are in now.
 */
struct wait_queue {
    struct timer retry;
    struct waiters *set;
    struct hash_node by_key;
    struct hash_node by_topic; /* in the table only where it has a second key: topic is not 0 */
    uint64_t topic;
    bool all; /* readers: they do not compete */
    bool beside; /* all its waiters are in another queue as well, and time wakes them there */
    struct wait_link *first, *last;
};

/* The key that one link of a waiter waits for. */
struct target {
    uint64_t key, topic;
    bool all, beside;
};

void waiters_init(struct waiters *ws, struct timers *timers)
{
    *ws = (struct waiters){.timers = timers};
}

void waiters_fini(struct waiters *ws)
{
    assert(ws->n == 0);
    assert(ws->by_key.n == 0 && ws->by_topic.n == 0);
    hash_free(&ws->by_key);
    hash_free(&ws->by_topic);
}

static uint32_t waiter_links_count(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_POP: return cmd->n_rest + 1;
    case CMD_TAKE: return 2 * cmd->n_rest + 1;
    case CMD_READ: return 2;
    default: return 1;
    }
}

/* What the group is given once more: whoever waits for any of its topics may get that (storage/group/retry.h). */
static struct target waiter_of_redriven(struct slice group)
{
    uint8_t name[SYSTEM_NAME_BYTES_MAX];
    struct slice topic = redriven_topic(group, name);
    return (struct target){.key = news_key(NEWS_GROUP, group, topic),
                           .topic = news_key(NEWS_TOPIC, topic, slice_of(NULL, 0)),
                           .beside = true};
}

static struct target waiter_target(const struct command *cmd, uint32_t i, uint64_t key)
{
    struct slice none = slice_of(NULL, 0);
    bool pops = cmd->info->id == CMD_POP || cmd->info->id == CMD_TAKE;
    if (pops && i == waiter_links_count(cmd) - 1)
        return waiter_of_redriven(cmd->pos[0]);
    if (cmd->info->id == CMD_TAKE && i >= cmd->n_rest) {
        uint64_t gone = news_key(NEWS_GONE, cmd->pos[0], cmd->rest[i - cmd->n_rest]);
        return (struct target){.key = gone, .all = true};
    }
    if (pops) {
        return (struct target){.key = news_key(NEWS_GROUP, cmd->pos[0], cmd->rest[i]),
                               .topic = news_key(NEWS_TOPIC, cmd->rest[i], none)};
    }
    if (cmd->info->id == CMD_CHECKS)
        return (struct target){.key = news_key(NEWS_PGROUP, cmd->pos[0], none)};
    assert(cmd->info->id == CMD_READ);
    if (i == 1)
        key = news_key(NEWS_GONE, cmd->pos[0], none);
    return (struct target){.key = key, .all = true};
}

/* Index of the newest news about a key that was delivered, or about another key in the same bucket. */
static uint64_t waiter_seen(const struct waiters *ws, uint64_t key)
{
    uint64_t at = ws->seen[key % SEEN_BUCKETS];
    return at > ws->seen_all ? at : ws->seen_all;
}

bool waiters_missed(const struct waiters *ws, const struct entry *e)
{
    for (uint32_t i = 0; i < waiter_links_count(&e->cmd); i++) {
        struct target t = waiter_target(&e->cmd, i, 0);
        if (waiter_seen(ws, t.key) >= e->index || (t.topic && waiter_seen(ws, t.topic) >= e->index))
            return true;
    }
    return false;
}

/* ---- queues ---- */

static void waiter_make_woken(struct waiter *w, bool by_time)
{
    struct waiters *ws = w->set;
    assert(w->state == WAITER_PARKED);
    timer_clear(ws->timers, &w->deadline);
    w->state = WAITER_WOKEN;
    w->by_time = by_time;
    w->next_woken = NULL;
    if (ws->last_woken)
        ws->last_woken->next_woken = w;
    else
        ws->first_woken = w;
    ws->last_woken = w;
}

/* Wakes the oldest `count` of those that are parked. */
static void waiter_queue_wake(struct wait_queue *q, uint32_t count, bool by_time)
{
    for (struct wait_link *l = q->first; l && (count > 0 || q->all); l = l->next) {
        if (l->waiter->state != WAITER_PARKED)
            continue;
        waiter_make_woken(l->waiter, by_time);
        count -= q->all ? 0 : 1;
    }
}

static void waiter_retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    waiter_queue_wake((struct wait_queue *)((char *)t - offsetof(struct wait_queue, retry)), 1, true);
}

static struct wait_queue *waiter_queue_of_key(struct hash_node *node)
{
    return node ? (struct wait_queue *)((char *)node - offsetof(struct wait_queue, by_key)) : NULL;
}

static struct wait_queue *waiter_queue_of_topic(struct hash_node *node)
{
    return node ? (struct wait_queue *)((char *)node - offsetof(struct wait_queue, by_topic)) : NULL;
}

static struct wait_queue *waiter_queue_find(struct waiters *ws, struct target t)
{
    struct wait_queue *q = waiter_queue_of_key(hash_first(&ws->by_key, t.key));
    while (q && !(q->topic == t.topic && q->all == t.all && q->beside == t.beside))
        q = waiter_queue_of_key(hash_more(&q->by_key));
    return q;
}

static struct wait_queue *waiter_queue_get(struct waiters *ws, struct target t)
{
    struct wait_queue *q = waiter_queue_find(ws, t);
    if (q)
        return q;
    q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->retry.fire = waiter_retry_fires;
    q->set = ws;
    q->topic = t.topic;
    q->all = t.all;
    q->beside = t.beside;
    hash_add(&ws->by_key, &q->by_key, t.key);
    if (t.topic)
        hash_add(&ws->by_topic, &q->by_topic, t.topic);
    return q;
}

static void waiter_queue_drop(struct wait_queue *q)
{
    struct waiters *ws = q->set;
    hash_remove(&ws->by_key, &q->by_key);
    if (q->topic)
        hash_remove(&ws->by_topic, &q->by_topic);
    timer_clear(ws->timers, &q->retry);
    free(q);
}

static void waiter_link_in(struct wait_link *l, struct waiter *w, struct wait_queue *q)
{
    *l = (struct wait_link){.waiter = w, .queue = q, .prev = q->last};
    if (q->last)
        q->last->next = l;
    else
        q->first = l;
    q->last = l;
}

static void waiter_link_out(struct wait_link *l)
{
    struct wait_queue *q = l->queue;
    if (l->prev)
        l->prev->next = l->next;
    else
        q->first = l->next;
    if (l->next)
        l->next->prev = l->prev;
    else
        q->last = l->prev;
    if (!q->first)
        waiter_queue_drop(q);
}

/* ---- waiters ---- */

static void waiter_deadline_fires(struct timer *t, void *arg)
{
    struct waiter *w = (struct waiter *)((char *)t - offsetof(struct waiter, deadline));
    w->ops->expired(w, arg);
}

/* Sets the retry timers of the waiter's queues; a queue keeps the earliest. Without memory for a timer, news still
 * wakes the waiters and deadlines still end them; they only wait longer than needed. */
static void waiter_set_retry(struct waiter *w, int64_t retry_ms)
{
    if (!retry_ms)
        return;
    for (uint32_t i = 0; i < w->n_links; i++) {
        struct timer *t = &w->links[i].queue->retry;
        if (w->links[i].queue->all || w->links[i].queue->beside)
            continue;
        if (timer_is_set(t) && timer_due_ms(t) <= retry_ms)
            continue;
        if (timer_set(w->set->timers, t, retry_ms) != ST_OK)
            return;
    }
}

static struct waiter *waiter_new(struct waiters *ws, uint32_t n_links)
{
    struct waiter *w = calloc(1, sizeof *w + n_links * sizeof w->links[0]);
    if (!w)
        return NULL;
    w->set = ws;
    w->deadline.fire = waiter_deadline_fires;
    return w;
}

static void waiter_unlink_all(struct waiter *w)
{
    while (w->n_links > 0)
        waiter_link_out(&w->links[--w->n_links]);
}

/* Puts the waiter into every queue it waits for. ST_NOMEM: it is in none. */
static enum status waiter_link_all(struct waiter *w, const struct command *cmd, uint64_t key, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct wait_queue *q = waiter_queue_get(w->set, waiter_target(cmd, i, key));
        if (!q) {
            waiter_unlink_all(w);
            return ST_NOMEM;
        }
        waiter_link_in(&w->links[i], w, q);
        w->n_links = i + 1;
    }
    return ST_OK;
}

int64_t waiter_retry_ms(struct journal *j, const struct entry *e)
{
    if (!e->out.retry_at_ms)
        return 0;
    int64_t delay = e->out.retry_at_ms - journal_now_ms(j);
    return timers_now() + (delay > 0 ? delay : 1);
}

struct waiter *waiter_park(struct waiters *ws, const struct waiter_ops *ops, struct entry *e, uint64_t key,
                           int64_t deadline_ms, int64_t retry_ms)
{
    uint32_t n = waiter_links_count(&e->cmd);
    struct waiter *w = waiter_new(ws, n);
    if (!w)
        return NULL;
    w->ops = ops;
    w->deadline_ms = deadline_ms;
    if (waiter_link_all(w, &e->cmd, key, n) != ST_OK) {
        free(w);
        return NULL;
    }
    if (timer_set(ws->timers, &w->deadline, deadline_ms) != ST_OK) {
        waiter_unlink_all(w);
        free(w);
        return NULL;
    }
    w->entry = e;
    w->state = WAITER_PARKED;
    e->arg = w;
    ws->n++;
    waiter_set_retry(w, retry_ms);
    return w;
}

enum status waiter_park_again(struct waiter *w, struct entry *e, int64_t retry_ms)
{
    assert(w->state == WAITER_RUNNING);
    if (timer_set(w->set->timers, &w->deadline, w->deadline_ms) != ST_OK)
        return ST_NOMEM;
    w->entry = e;
    e->arg = w;
    w->state = WAITER_PARKED;
    w->by_time = false;
    waiter_set_retry(w, retry_ms);
    return ST_OK;
}

void waiter_wake(struct waiter *w)
{
    waiter_make_woken(w, false);
}

struct waiter *waiters_next(struct waiters *ws)
{
    struct waiter *w = ws->first_woken;
    if (!w)
        return NULL;
    ws->first_woken = w->next_woken;
    if (!ws->first_woken)
        ws->last_woken = NULL;
    w->state = WAITER_RUNNING;
    return w;
}

void waiters_run(struct waiters *ws, void *arg)
{
    struct waiter *w;
    while ((w = waiters_next(ws)))
        w->ops->woken(w, arg);
}

static void waiter_leave_woken(struct waiter *w)
{
    struct waiters *ws = w->set;
    struct waiter *before = NULL;
    struct waiter *at = ws->first_woken;
    while (at != w) {
        before = at;
        at = at->next_woken;
    }
    if (before)
        before->next_woken = w->next_woken;
    else
        ws->first_woken = w->next_woken;
    if (ws->last_woken == w)
        ws->last_woken = before;
}

void waiter_free(struct waiter *w, bool found)
{
    struct waiters *ws = w->set;
    if (w->state == WAITER_WOKEN)
        waiter_leave_woken(w);
    timer_clear(ws->timers, &w->deadline);
    /* A waiter that the clock woke, and that found something, wakes the next one: there may be more, and nobody else
     * was told. So does a waiter that was woken and is freed before it has looked. */
    bool pass_on = w->by_time || (!found && w->state != WAITER_PARKED);
    w->state = WAITER_RUNNING;
    for (uint32_t i = 0; pass_on && i < w->n_links; i++) {
        const struct wait_queue *q = w->links[i].queue;
        if (!q->all && !(q->beside && w->by_time)) /* those of `all` were woken with it */
            waiter_queue_wake(w->links[i].queue, 1, w->by_time);
    }
    waiter_unlink_all(w);
    entry_free(w->entry);
    free(w);
    ws->n--;
}

/* ---- news ---- */

static void waiter_wake_key(struct waiters *ws, uint64_t key, uint32_t count)
{
    for (struct hash_node *node = hash_first(&ws->by_key, key); node; node = hash_more(node))
        waiter_queue_wake(waiter_queue_of_key(node), count, false);
    for (struct hash_node *node = hash_first(&ws->by_topic, key); node; node = hash_more(node))
        waiter_queue_wake(waiter_queue_of_topic(node), count, false);
}

static void waiter_wake_all(struct waiters *ws)
{
    for (struct hash_node *node = hash_walk(&ws->by_key, NULL); node; node = hash_walk(&ws->by_key, node))
        waiter_queue_wake(waiter_queue_of_key(node), UINT32_MAX, false);
}

/* The oldest one that is parked because of what is leased, or NULL. Looks at a few only: thousands may be parked in a group
 * that is empty, and each ACK comes here. */
static struct waiter *waiter_queue_by_ack(const struct wait_queue *q)
{
    unsigned looks = BY_ACK_LOOKS;
    for (struct wait_link *l = q->first; l && looks-- > 0 && !q->all && !q->beside; l = l->next)
        if (l->waiter->state == WAITER_PARKED && l->waiter->entry->out.by_ack)
            return l->waiter;
    return NULL;
}

void waiters_acked(struct waiters *ws, const struct command *ack)
{
    struct message_id first;
    uint64_t last = 0;
    if (!ws->n || !ack->n_rest || !text_receipt_range(ack->rest[0], &first, &last))
        return;
    uint64_t key = news_key(NEWS_GROUP, ack->pos[0], first.topic);
    for (struct hash_node *node = hash_first(&ws->by_key, key); node; node = hash_more(node)) {
        struct waiter *w = waiter_queue_by_ack(waiter_queue_of_key(node));
        if (!w)
            continue;
        waiter_wake(w);
        return;
    }
}

void waiters_news(struct waiters *ws, const struct news *news)
{
    if (!news->index)
        return;
    if (news->overflow)
        ws->seen_all = news->index;
    for (uint32_t i = 0; i < news->n; i++)
        ws->seen[news->keys[i] % SEEN_BUCKETS] = news->index;
    if (!ws->n)
        return;
    if (news->overflow)
        waiter_wake_all(ws);
    for (uint32_t i = 0; i < news->n && !news->overflow; i++)
        waiter_wake_key(ws, news->keys[i], news->counts[i]);
}
