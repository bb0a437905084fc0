/*
 * sender.c: counts what a producer has under way, keeps the limits on it, and closes; see sender.h.
 */
#include "clients/c/roles/sender.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/stats.h"
#include "clients/c/client/wait.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/sized.h"

#define EXPEL_MS 5

enum hmq_status sender_init(struct sender *s, struct hmq_client *c, const hmq_options *o,
                            hmq_error *err)
{
    uint64_t chance;
    *s = (struct sender){.client = c};
    s->dedup = options_num(o, CHOICE_dedup);
    s->block = options_num(o, CHOICE_block_when_full);
    s->linger_ms = options_num(o, CHOICE_linger_ms);
    s->checkin_ms = options_num(o, CHOICE_checkin_ms);
    s->max_inflight = (size_t)options_num(o, CHOICE_max_inflight);
    s->max_bytes = (size_t)options_num(o, CHOICE_max_inflight_bytes);
    if (!clock_random(&chance))
        return error_set(err, HMQ_ESYSTEM, "the system has no random numbers");
    snprintf(s->prefix, sizeof s->prefix, "%016" PRIx64, chance);
    if (pthread_mutex_init(&s->lock, NULL) != 0)
        return error_plain(err, HMQ_ENOMEM);
    return HMQ_OK;
}

void sender_fini(struct sender *s)
{
    pthread_mutex_destroy(&s->lock);
}

void sender_dedup(struct sender *s, char *ret_id)
{
    uint64_t n = atomic_fetch_add(&s->sequence, 1);
    snprintf(ret_id, DEDUP_SIZE, "%s-%" PRIu64, s->prefix, n);
}

struct send_call *sender_call(struct sender *s, int64_t timeout_ms,
                              void (*done)(struct call *call, const struct call_outcome *outcome),
                              void *arg)
{
    struct send_call *call = malloc(sizeof *call);
    if (!call)
        return NULL;
    call_init(&call->call, client_id(s->client), done);
    call->call.deadline_ms = client_deadline(s->client, timeout_ms);
    call->call.owner = s;
    call->call.kind = CALL_INNER; /* it is counted by its producer, which has waited for room in the client */
    call->sender = s;
    call->fn.sent = NULL;
    call->arg = arg;
    return call;
}

static void sender_call_drop(struct send_call *call)
{
    call_fini(&call->call);
    free(call);
}

/* Whoever waits for room is woken when a quarter of it is free, not for each message. */
static bool sender_roomy_locked(const struct sender *s)
{
    return s->closing || s->inflight == 0 ||
           (s->inflight * 4 <= s->max_inflight * 3 && s->inflight_bytes * 4 <= s->max_bytes * 3);
}

/* Whether one more message of so many bytes is within the limits. The first one always is, however large. */
static bool sender_fits_locked(const struct sender *s, size_t bytes)
{
    return s->inflight == 0 || (s->inflight < s->max_inflight && s->inflight_bytes + bytes <= s->max_bytes);
}

struct sender_wish {
    struct sender *sender;
    size_t bytes;
};

/* What is waited for must be what sender_try_locked asks for: a wait that ends too early would be begun again at
 * once, and never look at its deadline. */
static bool sender_has_room(void *arg)
{
    const struct sender_wish *wish = arg;
    struct sender *s = wish->sender;
    pthread_mutex_lock(&s->lock);
    bool room = s->closing || (sender_roomy_locked(s) && sender_fits_locked(s, wish->bytes));
    pthread_mutex_unlock(&s->lock);
    return room;
}

static bool sender_is_empty(void *arg)
{
    struct sender *s = arg;
    pthread_mutex_lock(&s->lock);
    bool empty = s->inflight == 0;
    pthread_mutex_unlock(&s->lock);
    return empty;
}

/* What a flush waits for. */
static bool sender_is_empty_or_closing(void *arg)
{
    const struct sender *s = arg;
    return gate_closing(&s->gate) || sender_is_empty(arg);
}

static bool sender_is_left(void *arg)
{
    const struct sender *s = arg;
    return gate_empty(&s->gate);
}

static enum hmq_status sender_await(struct sender *s, bool (*holds)(void *arg), void *arg, int64_t deadline_ms)
{
    pthread_mutex_lock(&s->lock);
    s->waiting++;
    pthread_mutex_unlock(&s->lock);
    enum hmq_status status = wait_until(s->client, holds, arg, deadline_ms);
    pthread_mutex_lock(&s->lock);
    s->waiting--;
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* HMQ_EAGAIN: no room. */
static enum hmq_status sender_try_locked(struct sender *s, size_t bytes)
{
    if (s->closing)
        return HMQ_ECLOSED;
    if (!sender_fits_locked(s, bytes))
        return HMQ_EAGAIN;
    s->inflight++;
    s->inflight_bytes += bytes;
    return HMQ_OK;
}

/* True where someone is to be told. */
static bool sender_count_out(struct sender *s, size_t n, size_t bytes)
{
    s->inflight -= n;
    s->inflight_bytes -= bytes;
    return s->waiting > 0 && sender_roomy_locked(s);
}

void sender_unreserve(struct sender *s, size_t n, size_t bytes)
{
    struct hmq_client *c = s->client;
    pthread_mutex_lock(&s->lock);
    bool tell = sender_count_out(s, n, bytes);
    pthread_mutex_unlock(&s->lock);
    /* From here on the sender may be gone: whoever closes it may have seen that nothing is under way. */
    if (tell)
        client_changed(c);
}

void sender_unreserve_locked(struct sender *s, size_t n, size_t bytes)
{
    if (sender_count_out(s, n, bytes))
        client_changed(s->client);
}

void sender_record(struct sender *s, size_t n, enum hmq_status status, int64_t begun_us, int64_t answered_us)
{
    pthread_mutex_lock(&s->lock);
    if (status == HMQ_OK) {
        s->n_done += n;
        latency_add(&s->latency, answered_us - begun_us, n);
    } else {
        s->n_failed += n;
        s->n_unknown += status == HMQ_EUNKNOWN ? n : 0;
    }
    pthread_mutex_unlock(&s->lock);
}

static void sender_read(struct sender *s, hmq_producer_stats *to, struct latencies *ret_latency)
{
    pthread_mutex_lock(&s->lock);
    *to = (hmq_producer_stats){.size = sizeof *to,
                               .done = s->n_done,
                               .failed = s->n_failed,
                               .unknown = s->n_unknown,
                               .batches = s->n_batches,
                               .inflight = s->inflight,
                               .inflight_bytes = s->inflight_bytes};
    *ret_latency = s->latency;
    pthread_mutex_unlock(&s->lock);
    to->latency = latency_summary(ret_latency);
}

static void sender_write(struct stats_source *source, struct buf *to)
{
    static const struct stats_field fields[] = {
        STATS_FIELD(hmq_producer_stats, done),    STATS_FIELD(hmq_producer_stats, failed),
        STATS_FIELD(hmq_producer_stats, unknown), STATS_FIELD(hmq_producer_stats, batches),
        STATS_FIELD(hmq_producer_stats, inflight), STATS_FIELD(hmq_producer_stats, inflight_bytes)};
    struct sender *s = (struct sender *)(void *)((char *)source - offsetof(struct sender, stats));
    hmq_producer_stats stats;
    struct latencies latency;
    sender_read(s, &stats, &latency);
    stats_put(to, &stats, fields, sizeof fields / sizeof *fields);
    stats_put_latency(to, &latency);
}

void sender_show(struct sender *s, enum stats_kind kind)
{
    s->stats.kind = kind;
    s->stats.write = sender_write;
    stats_add(s->client, &s->stats);
}

void sender_forget(struct sender *s)
{
    stats_remove(s->client, &s->stats);
}

enum hmq_status sender_stats(struct sender *s, hmq_producer_stats *stats)
{
    hmq_producer_stats own;
    struct latencies latency;
    sender_read(s, &own, &latency);
    return sized_write(stats, &own, sizeof own, offsetof(hmq_producer_stats, failed)) ? HMQ_OK : HMQ_EINVAL;
}

void sender_hold_locked(struct sender *s)
{
    s->inflight++;
}

bool sender_is_closing(struct sender *s)
{
    pthread_mutex_lock(&s->lock);
    bool closing = s->closing;
    pthread_mutex_unlock(&s->lock);
    return closing;
}

static void sender_push(struct sender *s)
{
    if (s->push)
        s->push(s);
}

static bool sender_client_has_room(void *arg)
{
    const struct sender *s = arg;
    return gate_closing(&s->gate) || client_room(s->client) > 0;
}

/* Not on the driver's thread, be it the application's loop: an asynchronous call must not hold that up. */
static bool sender_may_wait(struct sender *s)
{
    return s->block && !client_on_driver(s->client);
}

/* Under the lock. Asks the client, whose lock the I/O thread wants as well, not for each small message. */
static bool sender_client_lets_locked(struct sender *s, size_t bytes)
{
    if (s->room == 0 || bytes > CLIENT_ROOM_BYTES) {
        size_t room = client_room(s->client);
        s->room = room > 0 ? room - 1 : 0;
        return room > 0;
    }
    s->room--;
    return true;
}

/* HMQ_EAGAIN: no room now, or none with the client, whose limits all its producers share. What was counted in by its
 * producer passes those later. */
static enum hmq_status sender_take_locked(struct sender *s, size_t bytes)
{
    return s->closing || sender_client_lets_locked(s, bytes) ? sender_try_locked(s, bytes) : HMQ_EAGAIN;
}

static bool sender_await_client(struct sender *s, int64_t deadline_ms)
{
    client_await_room(s->client, true);
    enum hmq_status status = sender_await(s, sender_client_has_room, s, deadline_ms);
    client_await_room(s->client, false);
    return status == HMQ_OK;
}

/* Without the lock: waits for room, with the client and with the producer. HMQ_EAGAIN: there is none until then. */
static enum hmq_status sender_reserve_later(struct sender *s, size_t bytes, int64_t deadline_ms)
{
    struct sender_wish wish = {s, bytes};
    enum hmq_status status = HMQ_EAGAIN;
    while (status == HMQ_EAGAIN) {
        sender_push(s); /* open lanes must leave: nothing more can be added to them */
        if (!sender_may_wait(s) || !sender_await_client(s, deadline_ms) ||
            sender_await(s, sender_has_room, &wish, deadline_ms) != HMQ_OK)
            return HMQ_EAGAIN;
        pthread_mutex_lock(&s->lock);
        status = sender_try_locked(s, bytes);
        pthread_mutex_unlock(&s->lock);
    }
    return status;
}

enum hmq_status sender_reserve_locked(struct sender *s, size_t bytes, int64_t deadline_ms)
{
    enum hmq_status status = sender_take_locked(s, bytes);
    if (status != HMQ_EAGAIN)
        return status;
    pthread_mutex_unlock(&s->lock);
    status = sender_reserve_later(s, bytes, deadline_ms);
    pthread_mutex_lock(&s->lock);
    return status;
}

enum hmq_status sender_reserve(struct sender *s, size_t bytes, int64_t deadline_ms)
{
    pthread_mutex_lock(&s->lock);
    enum hmq_status status = sender_reserve_locked(s, bytes, deadline_ms);
    pthread_mutex_unlock(&s->lock);
    return status;
}

enum hmq_status sender_submit(struct sender *s, struct send_call *call, int64_t linger_ms,
                              hmq_error *err)
{
    enum hmq_status status = sender_reserve(s, call->call.frame.len, call->call.deadline_ms);
    if (status == HMQ_OK)
        return sender_submit_reserved(s, call, linger_ms, err);
    sender_call_drop(call);
    return error_plain(err, status);
}

enum hmq_status sender_submit_ending(struct sender *s, struct send_call *call, hmq_error *err)
{
    pthread_mutex_lock(&s->lock);
    bool closing = s->closing;
    s->inflight += !closing;
    s->inflight_bytes += closing ? 0 : call->call.frame.len;
    pthread_mutex_unlock(&s->lock);
    if (!closing)
        return sender_submit_reserved(s, call, 0, err);
    sender_call_drop(call);
    return error_plain(err, HMQ_ECLOSED);
}

enum hmq_status sender_submit_reserved(struct sender *s, struct send_call *call, int64_t linger_ms,
                                       hmq_error *err)
{
    size_t bytes = call->call.frame.len;
    enum hmq_status status = client_submit(s->client, &call->call, linger_ms);
    if (status == HMQ_OK)
        return error_none(err);
    sender_unreserve(s, 1, bytes);
    sender_call_drop(call);
    return error_plain(err, status);
}

void sender_release(struct send_call *call)
{
    struct sender *s = call->sender;
    size_t bytes = call->call.frame_bytes;
    sender_call_drop(call);
    sender_unreserve(s, 1, bytes);
}

static enum hmq_status sender_flush_inside(struct sender *s, int64_t timeout_ms, hmq_error *err)
{
    sender_push(s);
    int64_t deadline_ms = client_deadline(s->client, timeout_ms);
    enum hmq_status status = sender_await(s, sender_is_empty_or_closing, s, deadline_ms);
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status, "some messages have no reply yet");
    return error_plain(err, status);
}

enum hmq_status sender_flush(struct sender *s, int64_t timeout_ms, hmq_error *err)
{
    struct hmq_client *c = s->client;
    if (!gate_enter(&s->gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = sender_flush_inside(s, timeout_ms, err);
    if (status == HMQ_OK && gate_closing(&s->gate))
        status = error_plain(err, HMQ_ECLOSED);
    gate_leave(&s->gate, c);
    return status;
}

static void sender_awaited_ended(struct awaited *w)
{
    struct sender *s = (struct sender *)(uintptr_t)w->call.owner;
    sender_record(s, 1, w->status, w->call.begun_us, clock_us());
}

enum hmq_status sender_await_call(struct sender *s, struct awaited *w, int64_t timeout_ms, hmq_error *err)
{
    enum hmq_status status = awaited_init_of(w, s->client, &s->gate, s, timeout_ms, err);
    if (status == HMQ_OK)
        w->ended = sender_awaited_ended;
    return status;
}

/* Waits until the last caller has left. One that had entered may submit a request yet, so they are taken back again
 * and again. */
static void sender_expel(struct sender *s)
{
    do
        client_cancel_owned(s->client, s);
    while (sender_await(s, sender_is_left, s, clock_ms() + EXPEL_MS) == HMQ_ETIMEDOUT);
}

enum hmq_status sender_close(struct sender *s, int64_t timeout_ms, hmq_error *err)
{
    if (!wait_is_possible(s->client))
        return error_plain(err, HMQ_EWOULDBLOCK);
    enum hmq_status status = sender_flush_inside(s, timeout_ms, err);
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_mutex_unlock(&s->lock);
    gate_close(&s->gate, s->client);
    sender_expel(s);
    sender_push(s);
    /* Until the last callback has run. The driver may submit a request yet that belongs to a call which it had taken
     * before: the messages of a refused batch. */
    do
        client_cancel_owned(s->client, s);
    while (sender_await(s, sender_is_empty, s, clock_ms() + EXPEL_MS) == HMQ_ETIMEDOUT);
    return status;
}
