/*
 * client.c: what the roles need of a client: handing requests over, telling of changes, ending calls. See
 * client.h; opening and closing a client is in open.c.
 */
#include "clients/c/client/client.h"

#include <stdio.h>
#include <string.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/logs.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"

#define DEADLINE_FAR_MS 1000 /* where CLOCK_LATE_MS more do not matter */

const struct hmq_options *client_options(const struct hmq_client *c)
{
    return c->options;
}

void client_hold(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->users++;
    pthread_mutex_unlock(&c->lock);
}

void client_release(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool last = --c->users == 0;
    pthread_mutex_unlock(&c->lock);
    if (last)
        c->end(c);
}

struct memory *client_memory(const struct hmq_client *c)
{
    return c->memory;
}

uint32_t client_id(struct hmq_client *c)
{
    return atomic_fetch_add(&c->next_id, 1);
}

int64_t client_deadline(const struct hmq_client *c, int64_t timeout_ms)
{
    if (timeout_ms < 0)
        timeout_ms = options_num(c->options, CHOICE_call_timeout_ms);
    int64_t now_ms = timeout_ms < DEADLINE_FAR_MS ? clock_ms() : clock_late_ms();
    return now_ms + (timeout_ms < TIMEOUT_MS_MAX ? timeout_ms : TIMEOUT_MS_MAX);
}

enum hmq_status client_submit(struct hmq_client *c, struct call *call, int64_t linger_ms)
{
    int64_t begun_us = clock_us();
    pthread_mutex_lock(&c->lock);
    enum hmq_status status = HMQ_ECLOSED;
    int64_t deadline_ms = call->deadline_ms;
    call->begun_us = begun_us;
    if (!c->stopping)
        status = core_submit(&c->core, call, begun_us / 1000, linger_ms);
    if (status == HMQ_OK) {
        int64_t flush_ms = c->line == LINE_UP ? core_next_flush(&c->core) : CORE_NEVER;
        watch_wake_locked(c, flush_ms < deadline_ms ? flush_ms : deadline_ms);
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* The smaller of them, of what is left below a limit in units of so many bytes. */
static size_t client_less(size_t room, size_t used, size_t most, size_t unit)
{
    size_t left = used < most ? 1 + (most - used) / unit / CLIENT_ROOM_SHARE : 0;
    return left < room ? left : room;
}

size_t client_room(struct hmq_client *c)
{
    const struct core *core = &c->core;
    pthread_mutex_lock(&c->lock);
    size_t room = client_less(CLIENT_ROOM_MOST, core->pending, core->max_pending, 1);
    room = client_less(room, core->pending_bytes, core->max_pending_bytes, CLIENT_ROOM_BYTES);
    room = client_less(room, core->memory, core->max_memory, CLIENT_ROOM_BYTES);
    pthread_mutex_unlock(&c->lock);
    return room;
}

void client_await_room(struct hmq_client *c, bool waits)
{
    pthread_mutex_lock(&c->lock);
    c->waiting_for_room += waits ? 1u : -1u;
    pthread_mutex_unlock(&c->lock);
}

bool client_is_connected(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool connected = c->line != LINE_DOWN;
    pthread_mutex_unlock(&c->lock);
    return connected;
}

uint32_t client_epoch(const struct hmq_client *c)
{
    return c->epoch;
}

int64_t client_heard_us(const struct hmq_client *c)
{
    return c->peer.heard_us;
}

bool client_on_driver(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool here = c->driver != DRIVER_NONE && pthread_equal(c->driver_thread, pthread_self());
    pthread_mutex_unlock(&c->lock);
    return here;
}

void *client_take_block(struct hmq_client *c, bool asked, size_t *ret_size)
{
    struct intake *t = &c->peer.intake;
    void *block = t->block;
    if (!block || !memory_take(c->memory, t->block_size, asked))
        return NULL;
    *ret_size = t->block_size;
    t->taken = true;
    t->block = NULL;
    t->block_len = 0;
    return block;
}

void client_changed(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    watch_tell_locked(c);
    pthread_mutex_unlock(&c->lock);
}

void client_event(struct hmq_client *c, enum hmq_event event, const char *text)
{
    static const struct {
        enum hmq_log_level level;
        const char *line;
    } lines[] = {[HMQ_EVENT_CONNECTED] = {HMQ_LOG_INFO, "connected to"},
                 [HMQ_EVENT_DISCONNECTED] = {HMQ_LOG_WARNING, "the connection is lost:"},
                 [HMQ_EVENT_CONNECT_FAILED] = {HMQ_LOG_WARNING, "no connection to"},
                 [HMQ_EVENT_TROUBLE] = {HMQ_LOG_ERROR, "the broker refused"}};
    c->inside++;
    logs_say(c, lines[event].level, "%s %s", lines[event].line, text);
    if (c->options->event_fn)
        c->options->event_fn(c->options->event_arg, event, text);
    c->inside--;
}

void client_note_failure(struct hmq_client *c, const char *text)
{
    pthread_mutex_lock(&c->lock);
    snprintf(c->last_error, sizeof c->last_error, "%s", text);
    c->connect_failures++;
    pthread_mutex_unlock(&c->lock);
    client_event(c, HMQ_EVENT_CONNECT_FAILED, text);
}

/* Calls done() of each call in the list. True where there were any. */
static bool client_end_calls(struct hmq_client *c, struct call_list *ended)
{
    struct call *call;
    bool any = false;
    while ((call = TAILQ_FIRST(ended))) {
        hmq_error err;
        TAILQ_REMOVE(ended, call, link);
        client_explain(c, call->status, &err);
        struct call_outcome outcome = {.status = call->status, .text = slice_str(err.text)};
        call->done(call, &outcome);
        any = true;
    }
    return any;
}

void client_finish(struct hmq_client *c, struct call_list *ended)
{
    c->inside++;
    bool any = client_end_calls(c, ended);
    c->inside--;
    client_ended(c, any);
}

void client_ending(struct hmq_client *c)
{
    atomic_store_explicit(&c->ending, true, memory_order_relaxed); /* it is read under the lock */
}

/* Either this sees that somebody flushes, or that one sees that nothing is ending any more. */
void client_ended(struct hmq_client *c, bool tell)
{
    atomic_store(&c->ending, false);
    if (tell || atomic_load(&c->flushing) > 0)
        client_changed(c);
}

void client_cancel_owned(struct hmq_client *c, const void *owner)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    pthread_mutex_lock(&c->lock);
    core_cancel_owned(&c->core, owner, &c->taken_back);
    if (c->driver == DRIVER_NONE)
        TAILQ_CONCAT(&dead, &c->taken_back, link);
    else if (!TAILQ_EMPTY(&c->taken_back))
        watch_wake_locked(c, CORE_NOW);
    pthread_mutex_unlock(&c->lock);
    if (client_end_calls(c, &dead))
        client_changed(c);
}

enum hmq_status client_explain(struct hmq_client *c, enum hmq_status status, hmq_error *err)
{
    char why[HMQ_ERROR_TEXT_SIZE] = "";
    pthread_mutex_lock(&c->lock);
    if (c->line == LINE_DOWN)
        snprintf(why, sizeof why, "%.150s", c->last_error);
    pthread_mutex_unlock(&c->lock);
    if (why[0] && (status == HMQ_EDISCONNECTED || status == HMQ_EUNKNOWN))
        return error_set(err, status, "%.96s (%s)", hmq_strerror(status), why);
    return error_plain(err, status);
}
