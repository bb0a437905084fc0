/*
 * gather.c: see gather.h.
 */
#include "clients/c/roles/gather.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define LANES_KEEP 64 /* idle ones, for the next message */
#define DEADLINES_APART_MS 100 /* of the messages of a batch: they share the latest */
#define WAITERS_FIRST 16

static struct gather *gather_of(struct service *s)
{
    return (struct gather *)(void *)s; /* the service is its first member */
}

static struct lane_list *bucket(struct gather *g, const char *topic, int64_t queue)
{
    uint64_t hash = text_hash(slice_str(topic)) + (uint64_t)(queue + 1);
    return &g->lanes[hash % GATHER_BUCKETS];
}

static struct lane *lane_new(const char *topic, int64_t queue)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->topic = strdup(topic);
    if (!lane->topic) {
        free(lane);
        return NULL;
    }
    lane->queue = queue;
    lane->due_ms = CORE_NEVER;
    buf_init(&lane->record, BATCH_BYTES_MAX);
    buf_init(&lane->starts, BATCH_COUNT_MAX * 4);
    return lane;
}

static struct lane *lane_get(struct gather *g, const char *topic, int64_t queue)
{
    struct lane_list *list = bucket(g, topic, queue);
    struct lane *lane;
    LIST_FOREACH(lane, list, link)
    if (lane->queue == queue && strcmp(lane->topic, topic) == 0)
        return lane;
    lane = lane_new(topic, queue);
    if (lane) {
        LIST_INSERT_HEAD(list, lane, link);
        g->n_lanes++;
    }
    return lane;
}

static void lane_free(struct gather *g, struct lane *lane)
{
    assert(lane->n == 0 && lane->under_way == 0);
    LIST_REMOVE(lane, link);
    g->n_lanes--;
    buf_free(&lane->record);
    buf_free(&lane->starts);
    free(lane->waiters);
    free(lane->spare);
    free(lane->topic);
    free(lane);
}

static void on_connected(struct service *s)
{
    struct gather *g = gather_of(s);
    pthread_mutex_lock(&g->lock);
    g->plain = false; /* it may be another broker */
    pthread_mutex_unlock(&g->lock);
}

/* Closes what is due; when the next one will be. */
static int64_t close_due(struct gather *g, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    struct lane *lane;
    for (size_t i = 0; g->n_open > 0 && i < GATHER_BUCKETS; i++)
        LIST_FOREACH(lane, &g->lanes[i], link)
        {
            if (lane->n > 0 && lane->due_ms <= now_ms)
                lane_submit(g, lane);
            else if (lane->n > 0 && lane->due_ms < next_ms)
                next_ms = lane->due_ms;
        }
    return next_ms;
}

static int64_t on_tick(struct service *s, int64_t now_ms)
{
    struct gather *g = gather_of(s);
    pthread_mutex_lock(&g->lock);
    int64_t next_ms = close_due(g, now_ms);
    pthread_mutex_unlock(&g->lock);
    produce_fail(g);
    return next_ms;
}

bool gather_init(struct gather *g, struct sender *s, const hmq_options *o)
{
    *g = (struct gather){.sender = s};
    g->service = (struct service){.connected = on_connected, .tick = on_tick, .due_ms = CORE_NEVER};
    size_t most = (size_t)options_num(o, CHOICE_max_batch_bytes);
    g->max_bytes = most < GATHER_BYTES ? most : GATHER_BYTES;
    TAILQ_INIT(&g->failed);
    for (size_t i = 0; i < GATHER_BUCKETS; i++)
        LIST_INIT(&g->lanes[i]);
    partitions_init(&g->partitions, s, &g->lock);
    return pthread_mutex_init(&g->lock, NULL) == 0;
}

void gather_start(struct gather *g)
{
    service_add(g->sender->client, &g->service);
}

void gather_stop(struct gather *g)
{
    service_remove(g->sender->client, &g->service);
    for (size_t i = 0; i < GATHER_BUCKETS; i++)
        while (!LIST_EMPTY(&g->lanes[i]))
            lane_free(g, LIST_FIRST(&g->lanes[i]));
    partitions_fini(&g->partitions);
    pthread_mutex_destroy(&g->lock);
}

static bool waiters_reserve(struct lane *lane)
{
    if (lane->n < lane->size)
        return true;
    size_t size = lane->size ? lane->size * 2 : WAITERS_FIRST;
    struct waiter *waiters = realloc(lane->waiters, size * sizeof *waiters);
    if (!waiters)
        return false;
    lane->waiters = waiters;
    lane->size = size;
    return true;
}

/* Room for one message more, so that neither adding it nor leaving can fail and lose those that are in. */
static bool lane_reserve(struct lane *lane, size_t bytes)
{
    if (!lane->spare)
        lane->spare = calloc(1, sizeof *lane->spare);
    bool room = lane->spare && waiters_reserve(lane) &&
                buf_room(&lane->record, RECORD_HEADER_BYTES + bytes) &&
                buf_room(&lane->starts, sizeof(uint32_t));
    lane->record.failed = lane->starts.failed = false; /* nothing was put */
    return room;
}

static int64_t due_of(const struct gather *g, const struct lane *lane)
{
    int64_t linger_ms = g->sender->linger_ms;
    if (linger_ms == 0 && lane->under_way == 0)
        return CORE_NOW;
    return clock_ms() + (linger_ms > 0 ? linger_ms : GATHER_MS);
}

static void lane_open(struct gather *g, struct lane *lane, int64_t deadline_ms)
{
    record_begin(&lane->record);
    lane->bytes = 0;
    lane->deadline_ms = deadline_ms;
    lane->due_ms = due_of(g, lane);
    g->n_open++;
    service_at(g->sender->client, &g->service, lane->due_ms);
}

static bool apart(int64_t a, int64_t b)
{
    return a - b > DEADLINES_APART_MS || b - a > DEADLINES_APART_MS;
}

static void put(struct gather *g, struct lane *lane, struct message *m, size_t bytes,
                int64_t deadline_ms, struct waiter waiter)
{
    m->seq = lane->n;
    record_add(&lane->record, &lane->starts, m, 0);
    assert(!lane->record.failed && !lane->starts.failed);
    lane->waiters[lane->n++] = waiter;
    lane->bytes += bytes;
    if (deadline_ms > lane->deadline_ms)
        lane->deadline_ms = deadline_ms;
    if (lane->record.len >= g->max_bytes || lane->n >= GATHER_COUNT)
        lane_submit(g, lane);
}

enum hmq_status gather_add(struct gather *g, const char *topic, struct message *m, size_t bytes,
                           int64_t deadline_ms, struct waiter waiter)
{
    int64_t queue = -1;
    if (!text_name_ok(slice_str(topic), true))
        return HMQ_EAGAIN; /* the broker says what is wrong with it */
    if (m->fields & MSG_ORDER) {
        queue = partition_queue(&g->partitions, topic, m->order);
        if (queue < 0)
            return HMQ_EAGAIN;
    }
    struct lane *lane = lane_get(g, topic, queue);
    if (!lane)
        return HMQ_ENOMEM;
    if (lane->n > 0 && apart(deadline_ms, lane->deadline_ms))
        lane_submit(g, lane);
    if (!lane_reserve(lane, fit_bytes(m)))
        return HMQ_ENOMEM;
    if (lane->n == 0)
        lane_open(g, lane, deadline_ms);
    put(g, lane, m, bytes, deadline_ms, waiter);
    return HMQ_OK;
}

void gather_close(struct gather *g, const char *topic)
{
    struct lane *lane;
    for (size_t i = 0; g->n_open > 0 && i < GATHER_BUCKETS; i++)
        LIST_FOREACH(lane, &g->lanes[i], link)
    if (lane->n > 0 && (!topic || strcmp(lane->topic, topic) == 0))
        lane_submit(g, lane);
}

void lane_answered(struct gather *g, struct lane *lane)
{
    lane->under_way--;
    if (lane->n == 0 && lane->under_way == 0 && g->n_lanes > LANES_KEEP) {
        lane_free(g, lane);
    } else if (lane->n > 0 && lane->under_way == 0 && g->sender->linger_ms == 0) {
        lane->due_ms = CORE_NOW;
        service_kick(g->sender->client, &g->service);
    }
}
