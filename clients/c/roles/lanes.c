/*
 * lanes.c: opens and closes lanes, and knows when they are due; see lanes.h.
 */
#include "clients/c/roles/lanes.h"

#include "clients/c/client/service.h"
#include "clients/c/roles/fit.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define LANES_KEEP 64 /* idle lanes that are kept for the next message */
#define DEADLINES_APART_MS 100 /* at most, within a batch: its messages share the latest deadline */
#define WAITERS_FIRST 16
#define WORTH_SHARE 8 /* of a full batch */

static struct lanes *lanes_of(struct service *s)
{
    return (struct lanes *)(void *)s; /* the service is its first member */
}

static struct lane_list *lanes_bucket(struct lanes *lanes, const char *topic, int64_t queue)
{
    uint64_t hash = text_hash(slice_str(topic)) + (uint64_t)(queue + 1);
    return &lanes->buckets[hash % LANES_BUCKETS];
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
    TAILQ_INIT(&lane->held);
    buf_init(&lane->record, BATCH_BYTES_MAX);
    buf_init(&lane->starts, BATCH_COUNT_MAX * 4);
    return lane;
}

static bool lane_is(const struct lane *lane, const char *topic, int64_t queue)
{
    return lane->queue == queue && strcmp(lane->topic, topic) == 0;
}

static struct lane *lane_find(struct lanes *lanes, const char *topic, int64_t queue)
{
    struct lane *lane;
    LIST_FOREACH(lane, lanes_bucket(lanes, topic, queue), link)
    if (lane_is(lane, topic, queue))
        return lane;
    return NULL;
}

static struct lane *lane_get(struct lanes *lanes, const char *topic, int64_t queue)
{
    struct lane *lane = lane_find(lanes, topic, queue);
    if (lane)
        return lane;
    lane = lane_new(topic, queue);
    if (lane) {
        LIST_INSERT_HEAD(lanes_bucket(lanes, topic, queue), lane, link);
        lanes->n_lanes++;
    }
    return lane;
}

static void lane_free(struct lanes *lanes, struct lane *lane)
{
    assert(lane->n == 0 && lane->under_way == 0 && TAILQ_EMPTY(&lane->held));
    LIST_REMOVE(lane, link);
    lanes->n_lanes--;
    if (lanes->latest == lane)
        lanes->latest = NULL;
    buf_free(&lane->record);
    buf_free(&lane->starts);
    free(lane->listeners);
    free(lane->spare);
    free(lane->topic);
    free(lane);
}

static void lanes_connected(struct service *s)
{
    struct lanes *lanes = lanes_of(s);
    pthread_mutex_lock(&lanes->sender->lock);
    lanes->plain = false; /* it may be another broker */
    pthread_mutex_unlock(&lanes->sender->lock);
}

/* Closes the lanes that are due. Returns when the next one will be. */
static int64_t lanes_close_due(struct lanes *lanes, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    struct lane *lane;
    for (size_t i = 0; lanes->n_open > 0 && i < LANES_BUCKETS; i++)
        LIST_FOREACH(lane, &lanes->buckets[i], link)
        {
            if (lane->n > 0 && lane->due_ms <= now_ms)
                lanes->leave(lanes, lane);
            else if (lane->n > 0 && lane->due_ms < next_ms)
                next_ms = lane->due_ms;
        }
    return next_ms;
}

/* Leaves a call to the driver to end. */
static void lanes_fail(struct lanes *lanes, struct batch_call *b, enum hmq_status status)
{
    b->call.status = status;
    TAILQ_INSERT_TAIL(&lanes->failed, &b->call, link);
    service_kick(lanes->sender->client, &lanes->service);
}

/* Takes the call out of those that are held: it counts as under way from here on. */
static struct batch_call *lane_unhold(struct lanes *lanes, struct lane *lane, struct call *call)
{
    TAILQ_REMOVE(&lane->held, call, link);
    lanes->n_held--;
    lane->under_way++;
    return (struct batch_call *)(void *)call; /* the call is its first member */
}

/* Ends what is held and was due before now. Returns when the next one will be. */
static int64_t lane_expire_held(struct lanes *lanes, struct lane *lane, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    bool connected = client_is_connected(lanes->sender->client);
    for (struct call *call = TAILQ_FIRST(&lane->held), *next; call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->deadline_ms <= now_ms)
            lanes_fail(lanes, lane_unhold(lanes, lane, call), connected ? HMQ_ETIMEDOUT : HMQ_EDISCONNECTED);
        else if (call->deadline_ms < next_ms)
            next_ms = call->deadline_ms;
    }
    return next_ms;
}

static int64_t lanes_expire_held(struct lanes *lanes, int64_t now_ms)
{
    int64_t next_ms = CORE_NEVER;
    struct lane *lane;
    for (size_t i = 0; lanes->n_held > 0 && i < LANES_BUCKETS; i++)
        LIST_FOREACH(lane, &lanes->buckets[i], link)
        {
            int64_t at_ms = lane_expire_held(lanes, lane, now_ms);
            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
    return next_ms;
}

/* Ends the calls that could not be submitted. Without the lock. */
static void lanes_end_failed(struct lanes *lanes)
{
    struct call_list failed = TAILQ_HEAD_INITIALIZER(failed);
    pthread_mutex_lock(&lanes->sender->lock);
    TAILQ_CONCAT(&failed, &lanes->failed, link);
    pthread_mutex_unlock(&lanes->sender->lock);
    if (!TAILQ_EMPTY(&failed))
        client_finish(lanes->sender->client, &failed);
}

static int64_t lanes_tick(struct service *s, int64_t now_ms)
{
    struct lanes *lanes = lanes_of(s);
    pthread_mutex_lock(&lanes->sender->lock);
    int64_t next_ms = lanes_close_due(lanes, now_ms), held_ms = lanes_expire_held(lanes, now_ms);
    pthread_mutex_unlock(&lanes->sender->lock);
    lanes_end_failed(lanes);
    return held_ms < next_ms ? held_ms : next_ms;
}

void lanes_init(struct lanes *lanes, struct sender *s, const hmq_options *o,
                void (*leave)(struct lanes *lanes, struct lane *lane))
{
    *lanes = (struct lanes){.sender = s, .leave = leave};
    lanes->service = (struct service){.connected = lanes_connected, .tick = lanes_tick, .due_ms = CORE_NEVER};
    size_t most = (size_t)options_num(o, CHOICE_max_batch_bytes);
    lanes->max_bytes = most < LANES_BYTES ? most : LANES_BYTES;
    TAILQ_INIT(&lanes->failed);
    for (size_t i = 0; i < LANES_BUCKETS; i++)
        LIST_INIT(&lanes->buckets[i]);
    partitions_init(&lanes->partitions, s);
}

void lanes_start(struct lanes *lanes)
{
    service_add(lanes->sender->client, &lanes->service);
}

void lanes_stop(struct lanes *lanes)
{
    service_remove(lanes->sender->client, &lanes->service);
    for (size_t i = 0; i < LANES_BUCKETS; i++)
        while (!LIST_EMPTY(&lanes->buckets[i]))
            lane_free(lanes, LIST_FIRST(&lanes->buckets[i]));
    partitions_fini(&lanes->partitions);
}

static bool lane_reserve_listeners(struct lane *lane)
{
    if (lane->n < lane->size)
        return true;
    size_t size = lane->size ? lane->size * 2 : WAITERS_FIRST;
    struct listener *listeners = realloc(lane->listeners, size * sizeof *listeners);
    if (!listeners)
        return false;
    lane->listeners = listeners;
    lane->size = size;
    return true;
}

/* Allocates all that adding one message and closing the lane will take: once a message is in, neither may fail. */
static bool lane_reserve(struct lane *lane, size_t bytes)
{
    if (!lane->spare)
        lane->spare = calloc(1, sizeof *lane->spare);
    bool room = lane->spare && lane_reserve_listeners(lane) &&
                buf_room(&lane->record, RECORD_HEADER_BYTES + bytes) &&
                buf_room(&lane->starts, sizeof(uint32_t));
    lane->record.failed = lane->starts.failed = false; /* buf_room may have set it, but nothing was lost */
    return room;
}

/* When a message with this deadline leaves at the latest. */
static int64_t lane_due(const struct lanes *lanes, const struct lane *lane, int64_t deadline_ms)
{
    int64_t linger_ms = lanes->sender->linger_ms;
    if (linger_ms == 0 && lane->under_way == 0)
        return CORE_NOW;
    if (linger_ms == 0 && lane->queue >= 0)
        return deadline_ms; /* before that it could only be held: it leaves when what is under way is answered */
    int64_t now_ms = clock_ms(), left_ms = (deadline_ms - now_ms) / 2;
    if (linger_ms == 0)
        linger_ms = LANES_MS;
    return now_ms + (linger_ms < left_ms ? linger_ms : left_ms);
}

static void lane_open(struct lanes *lanes, struct lane *lane, int64_t deadline_ms)
{
    record_begin(&lane->record);
    lane->bytes = 0;
    lane->deadline_ms = deadline_ms;
    lane->opened_us = clock_us();
    lane->due_ms = lane_due(lanes, lane, deadline_ms);
    lanes->n_open++;
    service_at(lanes->sender->client, &lanes->service, lane->due_ms);
}

/* A message with an earlier deadline joins those in the open batch. */
static void lane_hurry(struct lanes *lanes, struct lane *lane, int64_t deadline_ms)
{
    int64_t due_ms = lane_due(lanes, lane, deadline_ms);
    if (due_ms >= lane->due_ms)
        return;
    lane->due_ms = due_ms;
    service_at(lanes->sender->client, &lanes->service, due_ms);
}

static bool lanes_apart(int64_t a, int64_t b)
{
    return a - b > DEADLINES_APART_MS || b - a > DEADLINES_APART_MS;
}

static void lane_put(struct lanes *lanes, struct lane *lane, struct message *m, size_t bytes,
                int64_t deadline_ms, struct listener listener)
{
    m->seq = lane->n;
    record_add(&lane->record, &lane->starts, m, 0);
    assert(!lane->record.failed && !lane->starts.failed);
    lane->listeners[lane->n++] = listener;
    lane->bytes += bytes;
    if (deadline_ms > lane->deadline_ms)
        lane->deadline_ms = deadline_ms;
    if (lane->record.len >= lanes->max_bytes || lane->n >= LANES_COUNT)
        lanes->leave(lanes, lane);
}

/* The lane for the message. HMQ_EAGAIN: it must go by itself. */
static enum hmq_status lanes_find(struct lanes *lanes, const char *topic, const struct message *m, struct lane **ret_lane)
{
    int64_t queue = -1;
    if (!text_name_ok(slice_str(topic), true))
        return HMQ_EAGAIN; /* so that the broker says what is wrong with it */
    if (m->fields & MSG_ORDER) {
        queue = partition_queue(&lanes->partitions, topic, m->order);
        if (queue < 0)
            return HMQ_EAGAIN;
    }
    *ret_lane = lanes->latest = lane_get(lanes, topic, queue);
    return *ret_lane ? HMQ_OK : HMQ_ENOMEM;
}

enum hmq_status lanes_add(struct lanes *lanes, const char *topic, struct message *m, size_t bytes,
                           int64_t deadline_ms, struct listener listener)
{
    struct lane *lane = lanes->latest;
    enum hmq_status status = HMQ_OK;
    if (!lane || (m->fields & MSG_ORDER) || !lane_is(lane, topic, -1))
        status = lanes_find(lanes, topic, m, &lane);
    if (status != HMQ_OK)
        return status;
    if (lane->n > 0 && lanes_apart(deadline_ms, lane->deadline_ms))
        lanes->leave(lanes, lane);
    if (!lane_reserve(lane, fit_bytes(m)))
        return HMQ_ENOMEM;
    if (lane->n == 0)
        lane_open(lanes, lane, deadline_ms);
    else if (deadline_ms < lane->deadline_ms)
        lane_hurry(lanes, lane, deadline_ms);
    lane_put(lanes, lane, m, bytes, deadline_ms, listener);
    return HMQ_OK;
}

void lanes_close(struct lanes *lanes, const char *topic)
{
    struct lane *lane;
    for (size_t i = 0; lanes->n_open > 0 && i < LANES_BUCKETS; i++)
        LIST_FOREACH(lane, &lanes->buckets[i], link)
    if (lane->n > 0 && (!topic || strcmp(lane->topic, topic) == 0))
        lanes->leave(lanes, lane);
}

struct lane *lanes_busy(struct lanes *lanes, const char *topic, struct slice order)
{
    int64_t queue = partition_queue(&lanes->partitions, topic, order);
    struct lane *lane = queue < 0 ? NULL : lane_find(lanes, topic, queue);
    return lane && lane->under_way > 0 ? lane : NULL;
}

void lanes_submit(struct lanes *lanes, struct batch_call *b, enum hmq_status status)
{
    b->lane->under_way++;
    if (status == HMQ_OK)
        status = client_submit(lanes->sender->client, &b->call, 0);
    if (status != HMQ_OK)
        lanes_fail(lanes, b, status);
}

void lanes_submit_in_turn(struct lanes *lanes, struct batch_call *b, enum hmq_status status)
{
    struct lane *lane = b->lane;
    if (status != HMQ_OK || lane->queue < 0 || lane->under_way == 0) {
        lanes_submit(lanes, b, status);
        return;
    }
    TAILQ_INSERT_TAIL(&lane->held, &b->call, link);
    lanes->n_held++;
    service_at(lanes->sender->client, &lanes->service, b->call.deadline_ms);
}

/* Nothing is under way: submits what was held first. A call that fails is ended by the driver, and then the next one
 * follows; when the producer closes, all fail. */
static void lane_go_on(struct lanes *lanes, struct lane *lane)
{
    bool closing = lanes->sender->closing;
    struct call *call;
    while ((closing || lane->under_way == 0) && (call = TAILQ_FIRST(&lane->held))) {
        struct batch_call *b = lane_unhold(lanes, lane, call);
        enum hmq_status status = closing ? HMQ_ECLOSED : client_submit(lanes->sender->client, call, 0);
        if (status != HMQ_OK)
            lanes_fail(lanes, b, status);
    }
}

/* Whether the open batch leaves after an answer, though others are under way. Where the application has a number of
 * messages in flight, those that wait for a full batch would be missing from them. A small one is not worth a request. */
static bool lane_is_worth(const struct lanes *lanes, const struct lane *lane)
{
    return lane->queue < 0 && lane->record.len >= lanes->max_bytes / WORTH_SHARE;
}

void lanes_answered(struct lanes *lanes, struct lane *lane)
{
    lane->under_way--;
    if (lane->under_way == 0)
        lane_go_on(lanes, lane);
    bool idle = lane->under_way == 0;
    if (lane->n == 0 && idle && lanes->n_lanes > LANES_KEEP) {
        lane_free(lanes, lane);
    } else if (lane->n > 0 && lanes->sender->linger_ms == 0 && (idle || lane_is_worth(lanes, lane))) {
        lane->due_ms = CORE_NOW;
        service_kick(lanes->sender->client, &lanes->service);
    }
}
