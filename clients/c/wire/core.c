/*
 * core.c: keeps a client's calls from submit to answer: in the queue, written, waiting, expired or cancelled. The
 * states of a call are in call.h, the rules of order and the bounds in core.h.
 */
#include "clients/c/wire/core.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_FIRST_MS 5
#define PAUSE_MAX_MS 1000
#define CALL_COST 512 /* of a call but its frame: the call itself, its places in table and heap, what allocation adds */

void core_init(struct core *c)
{
    *c = (struct core){
        .flush_at = CORE_NEVER, .max_pending = SIZE_MAX, .max_pending_bytes = SIZE_MAX,
        .max_memory = SIZE_MAX, .max_note_memory = SIZE_MAX};
    TAILQ_INIT(&c->queue);
    TAILQ_INIT(&c->sent);
    TAILQ_INIT(&c->paused);
    buf_init(&c->rest, 0);
}

void core_fini(struct core *c)
{
    assert(TAILQ_EMPTY(&c->queue) && TAILQ_EMPTY(&c->sent) && TAILQ_EMPTY(&c->paused));
    assert(c->ids.n == 0 && c->timers.n == 0);
    hash_free(&c->ids);
    heap_free(&c->timers);
    buf_free(&c->rest);
}

static struct call_list *core_list_of(struct core *c, const struct call *call)
{
    return call->state == CALL_QUEUED ? &c->queue
           : call->state == CALL_SENT ? &c->sent
                                      : &c->paused;
}

static void core_queue_call(struct core *c, struct call *call)
{
    call->state = CALL_QUEUED;
    if (call->kind == CALL_LOGIN && c->head_done == 0)
        TAILQ_INSERT_HEAD(&c->queue, call, link);
    else
        TAILQ_INSERT_TAIL(&c->queue, call, link);
    c->queued_bytes += call->frame_bytes;
}

static size_t *core_memory_of(struct core *c, const struct call *call)
{
    return call->kind == CALL_NOTE ? &c->note_memory : &c->memory;
}

static bool core_has_room(const struct core *c, const struct call *call)
{
    if (call->kind == CALL_NOTE)
        return c->note_memory == 0 || c->note_memory + call->cost <= c->max_note_memory;
    if (call->kind != CALL_REQUEST || c->pending == 0)
        return true;
    return c->pending < c->max_pending && c->pending_bytes + call->frame_bytes <= c->max_pending_bytes &&
           c->memory + call->cost <= c->max_memory;
}

enum hmq_status core_submit(struct core *c, struct call *call, int64_t now_ms, int64_t linger_ms)
{
    assert(call->state == CALL_NEW);
    call->frame_bytes = call->frame.len;
    if (call->frame.over)
        return HMQ_ETOOBIG;
    if (call->frame.failed || (call->kind != CALL_NOTE && !heap_reserve(&c->timers, 1)))
        return HMQ_ENOMEM;
    call->cost = call->frame.size + CALL_COST;
    if (!core_has_room(c, call))
        return HMQ_EAGAIN;
    *core_memory_of(c, call) += call->cost;
    if (call->kind != CALL_NOTE) {
        c->pending++;
        c->pending_bytes += call->frame_bytes;
        hash_add(&c->ids, &call->node, call->id);
        heap_put(&c->timers, &call->timer, call->deadline_ms);
    }
    core_queue_call(c, call);
    if (linger_ms > 0 && linger_ms > (call->deadline_ms - now_ms) / 2)
        linger_ms = (call->deadline_ms - now_ms) / 2; /* time is left for the reply */
    if (c->flush_at > now_ms + linger_ms)
        c->flush_at = now_ms + linger_ms;
    return HMQ_OK;
}

int64_t core_next_flush(const struct core *c)
{
    if (c->rest.len > 0 || (!TAILQ_EMPTY(&c->queue) && c->queued_bytes >= c->batch_bytes))
        return CORE_NOW;
    return TAILQ_EMPTY(&c->queue) ? CORE_NEVER : c->flush_at;
}

bool core_flush_due(const struct core *c, int64_t now_ms)
{
    return core_next_flush(c) <= now_ms;
}

size_t core_gather(const struct core *c, struct iovec *iov, size_t max)
{
    size_t n = 0, skip = c->head_done;
    if (c->rest.len > 0 && n < max) {
        iov[n].iov_base = c->rest.data + c->rest_done;
        iov[n++].iov_len = c->rest.len - c->rest_done;
    }
    for (struct call *call = TAILQ_FIRST(&c->queue); call && n < max;
         call = TAILQ_NEXT(call, link)) {
        iov[n].iov_base = call->frame.data + skip;
        iov[n++].iov_len = call->frame.len - skip;
        skip = 0;
    }
    return n;
}

/* The first call of the queue is written whole. */
static void core_head_written(struct core *c, struct call_list *done)
{
    struct call *call = TAILQ_FIRST(&c->queue);
    TAILQ_REMOVE(&c->queue, call, link);
    c->queued_bytes -= call->frame_bytes;
    c->head_done = 0;
    if (call->kind == CALL_NOTE) {
        c->note_memory -= call->cost;
        call->state = CALL_TAKEN;
        TAILQ_INSERT_TAIL(done, call, link);
        return;
    }
    c->requests++;
    c->resent += call->written;
    call->written = true;
    call->state = CALL_SENT;
    TAILQ_INSERT_TAIL(&c->sent, call, link);
    if (call->repeat == CALL_ONCE && !call->keep)
        buf_free(&call->frame);
}

void core_wrote(struct core *c, size_t n, struct call_list *done)
{
    if (c->rest.len > 0) {
        size_t part = c->rest.len - c->rest_done < n ? c->rest.len - c->rest_done : n;
        c->rest_done += part;
        n -= part;
        if (c->rest_done == c->rest.len) {
            buf_free(&c->rest);
            c->rest_done = 0;
        }
    }
    while (n > 0) {
        struct call *call = TAILQ_FIRST(&c->queue);
        assert(call);
        size_t left = call->frame.len - c->head_done;
        if (n < left) {
            c->head_done += n;
            return;
        }
        n -= left;
        core_head_written(c, done);
    }
    if (TAILQ_EMPTY(&c->queue))
        c->flush_at = CORE_NEVER;
}

/* Part of the frame is on the wire: the rest must follow it, or the broker cannot read anything after it. */
static void core_keep_rest(struct core *c, const struct call *call)
{
    assert(c->rest.len == 0);
    buf_put(&c->rest, call->frame.data + c->head_done, call->frame.len - c->head_done);
    c->broken = c->broken || c->rest.failed;
    c->rest_done = 0;
    c->head_done = 0;
}

/* Takes the call out of the list that it is in, out of the table and out of the timers. */
static void core_take(struct core *c, struct call *call)
{
    if (call->state == CALL_QUEUED) {
        if (c->head_done > 0 && call == TAILQ_FIRST(&c->queue)) {
            core_keep_rest(c, call);
            call->written = true;
        }
        c->queued_bytes -= call->frame_bytes;
    }
    TAILQ_REMOVE(core_list_of(c, call), call, link);
    if (TAILQ_EMPTY(&c->queue))
        c->flush_at = CORE_NEVER;
    *core_memory_of(c, call) -= call->cost;
    if (call->kind != CALL_NOTE) {
        hash_remove(&c->ids, &call->node);
        heap_remove(&c->timers, &call->timer);
        c->pending--;
        c->pending_bytes -= call->frame_bytes;
    }
    call->state = CALL_TAKEN;
}

/* Pauses a call that was answered BUSY, if it may be tried again before its deadline; whether it may. The pauses
 * double, and are drawn between half and one and a half of that. */
static bool core_pause_call(struct core *c, struct call *call, int64_t now_ms)
{
    int64_t pause = PAUSE_FIRST_MS << (call->pauses < 8 ? call->pauses : 8);
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    c->random = c->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    pause = pause / 2 + (int64_t)((c->random >> 33) % (uint64_t)pause);
    if (call->repeat != CALL_AGAIN_BUSY || now_ms + pause >= call->deadline_ms)
        return false;
    call->pauses++;
    TAILQ_REMOVE(&c->sent, call, link);
    heap_put(&c->timers, &call->timer, now_ms + pause);
    call->state = CALL_PAUSED;
    TAILQ_INSERT_TAIL(&c->paused, call, link);
    return true;
}

static struct call_outcome core_outcome_of(const struct rpc_frame *frame)
{
    struct call_outcome o = {.status = HMQ_OK, .result = frame->result};
    if (!frame->error)
        return o;
    struct slice code = SLICE_LIT("ERR");
    o.result = NULL;
    if (rpc_bytes(frame->error, &o.text) || !rpc_bytes(rpc_at(frame->error, 0), &code) ||
        !rpc_bytes(rpc_at(frame->error, 1), &o.text))
        o.status = HMQ_EREFUSED;
    else
        o.status = error_from_code(code);
    return o;
}

/* The pending call of that id, or NULL. Ids of pending calls differ, so the first one found is it. */
static struct call *core_call_of_id(const struct core *c, uint64_t id)
{
    struct hash_node *node = hash_first(&c->ids, id);
    return node ? (struct call *)(void *)((char *)node - offsetof(struct call, node)) : NULL;
}

/* The broker refused a request that it may have done when it was sent on an earlier connection, and did not look
 * whether it had. */
static void core_doubt(struct core *c, struct call_outcome *o)
{
    int n = snprintf(c->doubt, sizeof c->doubt, "it may have been done before the connection was lost; repeated, it was"
                     " refused: %.*s", (int)o->text.len, (const char *)o->text.data);
    o->status = HMQ_EUNKNOWN;
    c->unknown++;
    o->text = slice_of(c->doubt, n < 0 ? 0 : strlen(c->doubt));
}

struct call *core_answer(struct core *c, const struct rpc_frame *frame, int64_t now_ms,
                         struct call_outcome *ret_outcome)
{
    struct call *call = core_call_of_id(c, frame->id);
    if (!call || call->state != CALL_SENT)
        return NULL;
    *ret_outcome = core_outcome_of(frame);
    if (ret_outcome->status == HMQ_EBUSY && core_pause_call(c, call, now_ms))
        return NULL;
    if (call->repeated && error_says_nothing_of_earlier(ret_outcome->status))
        core_doubt(c, ret_outcome);
    c->responses++;
    core_take(c, call);
    return call;
}

/* The status of a call that is taken back without a reply. */
static enum hmq_status core_reason_of(enum call_state state, const struct call *call, bool connected)
{
    if (state == CALL_PAUSED)
        return call->repeated ? HMQ_EUNKNOWN : HMQ_EBUSY;
    if (call->written)
        return HMQ_EUNKNOWN;
    return connected ? HMQ_ETIMEDOUT : HMQ_EDISCONNECTED;
}

/* A stream's reply is still to come: it is to be closed then. Where there are too many, the oldest is forgotten. */
static void core_note_stray(struct core *c, uint32_t id)
{
    c->strays[c->n_strays++ % CORE_STRAYS] = id;
}

bool core_is_stray(struct core *c, uint64_t id)
{
    size_t n = c->n_strays < CORE_STRAYS ? c->n_strays : CORE_STRAYS;
    for (size_t i = 0; i < n; i++) {
        if (c->strays[i] != id)
            continue;
        c->strays[i] = c->strays[n - 1];
        c->n_strays = n - 1;
        return true;
    }
    return false;
}

void core_cancel(struct core *c, struct call *call, bool connected)
{
    enum call_state state = call->state;
    core_take(c, call);
    if (call->opens_stream && call->written)
        core_note_stray(c, call->id);
    call->status = core_reason_of(state, call, connected);
    c->unknown += call->status == HMQ_EUNKNOWN;
}

/* Takes a call back because its owner closes: where it was not sent, neither time nor connection is to blame. */
static void core_cancel_closed(struct core *c, struct call *call)
{
    core_cancel(c, call, true);
    if (call->status == HMQ_ETIMEDOUT)
        call->status = HMQ_ECLOSED;
}

static void core_cancel_in(struct core *c, struct call_list *list, const void *owner,
                           struct call_list *dead)
{
    for (struct call *call = TAILQ_FIRST(list), *next; call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->owner != owner)
            continue;
        core_cancel_closed(c, call);
        TAILQ_INSERT_TAIL(dead, call, link);
    }
}

void core_cancel_owned(struct core *c, const void *owner, struct call_list *dead)
{
    core_cancel_in(c, &c->sent, owner, dead);
    core_cancel_in(c, &c->paused, owner, dead);
    core_cancel_in(c, &c->queue, owner, dead);
}

static struct call *core_call_of_timer(struct heap_node *node)
{
    return (struct call *)(void *)((char *)node - offsetof(struct call, timer));
}

void core_expire(struct core *c, int64_t now_ms, bool connected, struct call_list *dead)
{
    struct heap_node *node;
    while ((node = heap_first(&c->timers)) && node->due <= now_ms) {
        struct call *call = core_call_of_timer(node);
        if (call->state == CALL_PAUSED && now_ms < call->deadline_ms) {
            TAILQ_REMOVE(&c->paused, call, link);
            heap_put(&c->timers, node, call->deadline_ms);
            core_queue_call(c, call);
            c->flush_at = now_ms;
            continue;
        }
        core_cancel(c, call, connected);
        TAILQ_INSERT_TAIL(dead, call, link);
    }
}

int64_t core_next_expiry(const struct core *c)
{
    const struct heap_node *first = heap_first(&c->timers);
    return first ? first->due : CORE_NEVER;
}

/* Notes belong to the connection that is lost. */
static void core_drop_notes(struct core *c, struct call_list *dead)
{
    for (struct call *call = TAILQ_FIRST(&c->queue), *next; call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->kind != CALL_NOTE)
            continue;
        core_take(c, call);
        call->status = HMQ_EDISCONNECTED;
        TAILQ_INSERT_TAIL(dead, call, link);
    }
}

void core_lost(struct core *c, struct call_list *dead)
{
    struct call *call;
    c->head_done = 0;
    c->broken = false;
    c->rest_done = 0;
    buf_free(&c->rest);
    core_drop_notes(c, dead);
    while ((call = TAILQ_LAST(&c->sent, call_list))) {
        if (call->repeat == CALL_ONCE) {
            core_cancel(c, call, false);
            TAILQ_INSERT_HEAD(dead, call, link);
            continue;
        }
        TAILQ_REMOVE(&c->sent, call, link);
        call->repeated = true;
        call->state = CALL_QUEUED;
        c->queued_bytes += call->frame_bytes;
        TAILQ_INSERT_HEAD(&c->queue, call, link);
    }
    c->n_strays = 0; /* streams end with their connection */
    c->flush_at = TAILQ_EMPTY(&c->queue) ? CORE_NEVER : CORE_NOW;
}

void core_close(struct core *c, struct call_list *dead)
{
    struct call *call;
    core_lost(c, dead);
    while ((call = TAILQ_FIRST(&c->queue)) || (call = TAILQ_FIRST(&c->paused))) {
        core_cancel_closed(c, call);
        TAILQ_INSERT_TAIL(dead, call, link);
    }
}
