/*
 * reader.c: reads one queue of a topic as a stream.
 *
 *   stream_queue ─► open ─► records ─► pages waiting ─► hmq_reader_next
 *     ▲               │                      └─ credit, when a quarter of it is free ─► the broker
 *     │               └── stream_end, a damaged record, no memory for one, another connection
 *     └── from the offset behind the last page that came ◄──┘
 *
 * Bounds: waiting + credit <= window when more is asked for; all count bytes of records. The broker may exceed
 * its credit by one record.
 *
 * Invariant: the pages' offsets ascend, `offset` is the one after all of them, and the stream was opened at what
 * `offset` was then. So nothing is read twice or left out, even where the connection is lost. A stream's number
 * is valid on the connection of its epoch only.
 *
 * hmq_reader_seek drops the pages and gives up the stream; one that is being opened then is given up when its number is
 * known.
 *
 * Locks: `lock` guards all from there on; it may be held while submitting.
 */
#include "clients/c/halfmq.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/gate.h"
#include "clients/c/client/intercept.h"
#include "clients/c/client/respond.h"
#include "clients/c/client/service.h"
#include "clients/c/client/stats.h"
#include "clients/c/client/wait.h"
#include "clients/c/roles/queue.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/message.h"
#include "clients/c/wire/request.h"
#include "clients/c/wire/sized.h"
#include "clients/c/wire/unpack.h"
#include "protocol/limits.h"

#define WINDOW_MAX ((int64_t)MIB(64)) /* the broker keeps no more credit than this */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 2000
#define GROWTH_ONE 16 /* a record takes as much memory as it is long */
#define OVERDRAFT_MAX ((int64_t)MIB(1)) /* credit below this: the broker does not keep to it */

struct reader_page {
    TAILQ_ENTRY(reader_page) link;
    struct hmq_batch *batch;
    int64_t bytes;
};

TAILQ_HEAD(page_list, reader_page);

struct hmq_reader {
    struct service service;
    struct hmq_client *client;
    char *topic;
    uint32_t queue;
    int64_t window;
    struct gate gate; /* of hmq_reader_next */

    pthread_mutex_t lock;
    struct page_list pages;
    int64_t waiting, credit; /* bytes of pages; bytes that may still come, below 0 where the broker exceeded them */
    uint64_t offset;
    uint64_t position, gap; /* of the next batch to return; offsets left out before it, in damaged records */
    int64_t stream, given_up; /* 0: none; given_up is yet to be closed */
    uint32_t epoch; /* of both */
    bool opening, closing;
    bool moved; /* the stream that is being opened begins elsewhere */
    bool interrupted;
    int64_t growth; /* memory that a record takes, as its messages, in GROWTH_ONEths of its length; an average */
    int64_t after_ms, pause_ms; /* when to ask again; the next pause */
    hmq_error failed; /* what the broker refused last, until the caller is told; HMQ_OK: nothing */
    hmq_reader_stats stats;
    struct stats_source shown; /* in the statistics of the client */
};

struct open_call {
    struct call call;
    struct hmq_reader *reader;
};

static struct hmq_reader *reader_of(struct service *s)
{
    return (struct hmq_reader *)(void *)s; /* the service is its first member */
}

/* ---- opening ---- */

static void reader_later(struct hmq_reader *r)
{
    r->after_ms = clock_ms() + r->pause_ms;
    r->pause_ms = r->pause_ms * 2 < PAUSE_MAX_MS ? r->pause_ms * 2 : PAUSE_MAX_MS;
    service_at(r->client, &r->service, r->after_ms);
}

/* Remembers it for the caller, unless it is retryable: then it is only tried again. */
static void reader_note_failure(struct hmq_reader *r, enum hmq_status status, struct slice text)
{
    if (status >= HMQ_EREFUSED && !hmq_status_retryable(status))
        error_bytes(&r->failed, status, text);
}

/* The stream that is open, if one is, is closed, and another one opened at once. */
static void reader_leave_stream(struct hmq_reader *r)
{
    if (r->stream) {
        r->given_up = r->stream;
        r->stream = 0;
        r->credit = 0;
    }
    r->after_ms = CORE_NOW;
    service_kick(r->client, &r->service);
}

static void reader_opened(struct call *call, const struct call_outcome *o)
{
    struct open_call *open = (struct open_call *)(void *)call; /* the call is its first member */
    struct hmq_reader *r = open->reader;
    struct hmq_client *client = r->client;
    int64_t id = 0;
    call_fini(call);
    free(open);
    pthread_mutex_lock(&r->lock);
    r->opening = false;
    if (o->status == HMQ_OK && rpc_int(o->result, &id) && id > 0) {
        r->stream = id;
        r->epoch = client_epoch(client); /* this is the driver's thread */
        r->pause_ms = PAUSE_FIRST_MS;
        r->stats.streams++;
    } else {
        r->credit = 0;
        reader_note_failure(r, o->status, o->text);
        reader_later(r);
    }
    if (r->moved)
        reader_leave_stream(r);
    r->moved = false;
    pthread_mutex_unlock(&r->lock);
    /* From here on the reader may be gone. */
    client_changed(client);
}

static struct open_call *reader_open_call(struct hmq_reader *r, int64_t credit)
{
    struct open_call *open = malloc(sizeof *open);
    if (!open)
        return NULL;
    open->reader = r;
    call_init(&open->call, client_id(r->client), reader_opened);
    open->call.deadline_ms = client_deadline(r->client, HMQ_DEFAULT);
    open->call.owner = r;
    open->call.opens_stream = true;
    request_begin(&open->call, "stream_queue", 4);
    pair_text(&open->call.frame, "topic", r->topic);
    pair_int(&open->call.frame, "queue", r->queue);
    pair_int(&open->call.frame, "offset", (int64_t)r->offset);
    pair_int(&open->call.frame, "credit", credit);
    return open;
}

/* The window in bytes of records, of which the messages may take the client's memory. */
static int64_t reader_window(const struct hmq_reader *r)
{
    size_t most = memory_max(client_memory(r->client));
    if (most > INT64_MAX / GROWTH_ONE)
        return r->window;
    int64_t window = (int64_t)most / 2 * GROWTH_ONE / r->growth; /* the rest is for other roles of the client */
    return window < r->window ? window : r->window;
}

static void reader_open_stream(struct hmq_reader *r)
{
    int64_t credit = reader_window(r) - r->waiting;
    if (r->opening || r->failed.code != HMQ_OK || clock_ms() < r->after_ms || credit <= 0)
        return;
    struct open_call *open = reader_open_call(r, credit);
    r->opening = open && client_submit(r->client, &open->call, 0) == HMQ_OK;
    if (r->opening) {
        r->credit = credit;
        return;
    }
    if (open) {
        call_fini(&open->call);
        free(open);
    }
    reader_later(r);
}

/* ---- credit and closing ---- */

static bool reader_close_given_up(struct hmq_reader *r)
{
    bool told = !respond_lives(r->client, r->epoch) ||
                respond_stream(r->client, r->epoch, "stream_close", r->given_up, -1);
    if (told)
        r->given_up = 0;
    else if (clock_ms() >= r->after_ms)
        reader_later(r);
    return told;
}

static void reader_give_credit(struct hmq_reader *r)
{
    int64_t window = reader_window(r), room = window - r->waiting - r->credit;
    if (room * 4 < window || room <= 0 || clock_ms() < r->after_ms)
        return;
    if (respond_stream(r->client, r->epoch, "stream_credit", r->stream, room))
        r->credit += room;
    else
        reader_later(r);
}

/* Under the lock: opens, closes or gives credit, whatever is due. */
static void reader_pump(struct hmq_reader *r)
{
    if (r->given_up && !reader_close_given_up(r))
        return;
    if (r->stream)
        reader_give_credit(r);
    else if (!r->closing)
        reader_open_stream(r);
}

static void reader_give_up(struct hmq_reader *r)
{
    r->given_up = r->stream;
    r->stream = 0;
    r->credit = 0;
    reader_later(r);
}

/* ---- what the broker says ---- */

static void reader_connected(struct service *s)
{
    struct hmq_reader *r = reader_of(s);
    pthread_mutex_lock(&r->lock);
    r->stream = r->given_up = 0;
    if (!r->opening)
        r->credit = 0;
    service_kick(r->client, s);
    pthread_mutex_unlock(&r->lock);
}

static int64_t reader_tick(struct service *s, int64_t now_ms)
{
    struct hmq_reader *r = reader_of(s);
    pthread_mutex_lock(&r->lock);
    reader_pump(r);
    int64_t next_ms = r->after_ms > now_ms ? r->after_ms : CORE_NEVER;
    pthread_mutex_unlock(&r->lock);
    return next_ms;
}

static struct reader_page *reader_page_of(struct hmq_reader *r, struct slice record)
{
    struct origin from = {.topic = slice_str(r->topic), .queue = r->queue, .memory = client_memory(r->client)};
    struct reader_page *page = malloc(sizeof *page);
    if (page && unpack_record(record, &from, &page->batch) == HMQ_OK) {
        page->bytes = (int64_t)record.len;
        return page;
    }
    free(page);
    return NULL;
}

/* Under the lock. Where the record is damaged or finds no memory, or the broker exceeds its credit, the stream is given
 * up, and another one begins with it. */
static void reader_take_record(struct hmq_reader *r, struct slice record)
{
    struct reader_page *page = r->credit > -OVERDRAFT_MAX ? reader_page_of(r, record) : NULL;
    const struct hmq_batch *batch = page ? page->batch : NULL;
    if (!page || hmq_message_offset(&batch->items[0]) < r->offset) {
        if (page)
            hmq_batch_free(page->batch);
        free(page);
        reader_give_up(r);
        return;
    }
    r->offset = hmq_message_offset(&batch->items[batch->n - 1]) + 1;
    r->growth = (r->growth * 7 + (int64_t)batch->taken * GROWTH_ONE / page->bytes) / 8 + 1;
    r->waiting += page->bytes;
    r->credit -= page->bytes;
    r->stats.received += batch->n;
    r->stats.received_bytes += (uint64_t)page->bytes;
    r->stats.waiting += batch->n;
    TAILQ_INSERT_TAIL(&r->pages, page, link);
}

static void reader_end_stream(struct hmq_reader *r, const struct rpc_value *error)
{
    struct slice code = SLICE_LIT("ERR"), text = SLICE_LIT("the broker ended the stream");
    (void)rpc_bytes(rpc_at(error, 0), &code);
    (void)rpc_bytes(rpc_at(error, 1), &text);
    reader_note_failure(r, error_from_code(code), text);
    reader_give_up(r);
    r->given_up = 0; /* the broker closed it itself */
}

static bool reader_notify(struct service *s, struct slice method, const struct rpc_value *params)
{
    struct hmq_reader *r = reader_of(s);
    struct slice record = {0};
    int64_t id;
    if (!rpc_int(rpc_get(params, "stream"), &id))
        return false;
    pthread_mutex_lock(&r->lock);
    bool ours = r->stream == id && r->epoch == client_epoch(r->client);
    if (ours && slice_equal(method, SLICE_LIT("records"))) {
        (void)rpc_bytes(rpc_get(params, "record"), &record);
        reader_take_record(r, record);
    } else if (ours && slice_equal(method, SLICE_LIT("stream_end"))) {
        reader_end_stream(r, rpc_get(params, "error"));
    }
    if (ours)
        reader_pump(r);
    pthread_mutex_unlock(&r->lock);
    return ours;
}

/* ---- the public functions ---- */

static void reader_drop_pages(struct hmq_reader *r)
{
    struct reader_page *page;
    while ((page = TAILQ_FIRST(&r->pages))) {
        TAILQ_REMOVE(&r->pages, page, link);
        hmq_batch_free(page->batch);
        free(page);
    }
    r->stats.waiting = 0;
}

static void reader_free(struct hmq_reader *r)
{
    reader_drop_pages(r);
    pthread_mutex_destroy(&r->lock);
    free(r->topic);
    free(r);
}

static hmq_reader_stats reader_read_stats(struct hmq_reader *r)
{
    pthread_mutex_lock(&r->lock);
    hmq_reader_stats s = r->stats;
    s.size = sizeof s;
    s.waiting_bytes = (uint64_t)r->waiting;
    pthread_mutex_unlock(&r->lock);
    return s;
}

static void reader_write_stats(struct stats_source *shown, struct buf *to)
{
    static const struct stats_field fields[] = {
        STATS_FIELD(hmq_reader_stats, received), STATS_FIELD(hmq_reader_stats, received_bytes),
        STATS_FIELD(hmq_reader_stats, read),     STATS_FIELD(hmq_reader_stats, batches),
        STATS_FIELD(hmq_reader_stats, left_out), STATS_FIELD(hmq_reader_stats, streams),
        STATS_FIELD(hmq_reader_stats, waiting),  STATS_FIELD(hmq_reader_stats, waiting_bytes)};
    struct hmq_reader *r = (struct hmq_reader *)(void *)((char *)shown - offsetof(struct hmq_reader, shown));
    hmq_reader_stats s = reader_read_stats(r);
    stats_put_text(to, "topic", r->topic);
    buf_printf(to, "\"queue\": %u, ", (unsigned)r->queue);
    stats_put_last(to, &s, fields, sizeof fields / sizeof *fields);
}

enum hmq_status hmq_reader_stats_get(hmq_reader *r, hmq_reader_stats *stats)
{
    hmq_reader_stats s = reader_read_stats(r);
    return sized_write(stats, &s, sizeof s, offsetof(hmq_reader_stats, received_bytes)) ? HMQ_OK : HMQ_EINVAL;
}

enum hmq_status hmq_reader_new(hmq_client *c, const char *topic, uint32_t queue, uint64_t offset,
                               const hmq_options *options, hmq_reader **ret_reader, hmq_error *err)
{
    if (!c || !topic || !ret_reader || offset > INT64_MAX)
        return error_set(err, HMQ_EINVAL, "a reader needs a client, a topic, an offset below 2^63 and ret_reader");
    struct hmq_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_plain(err, HMQ_ENOMEM);
    TAILQ_INIT(&r->pages);
    r->topic = strdup(topic);
    if (!r->topic || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r->topic);
        free(r);
        return error_plain(err, HMQ_ENOMEM);
    }
    r->client = c;
    r->queue = queue;
    r->offset = r->position = offset;
    r->window = options_num(options ? options : client_options(c), CHOICE_prefetch_bytes);
    if (r->window > WINDOW_MAX)
        r->window = WINDOW_MAX;
    r->pause_ms = PAUSE_FIRST_MS;
    r->growth = 4 * GROWTH_ONE;
    r->service = (struct service){
        .connected = reader_connected, .tick = reader_tick, .notify = reader_notify, .due_ms = CORE_NOW};
    r->shown = (struct stats_source){.kind = STATS_READER, .write = reader_write_stats};
    client_hold(c);
    service_add(c, &r->service);
    stats_add(c, &r->shown);
    *ret_reader = r;
    return error_none(err);
}

static bool reader_has_news(void *arg)
{
    struct hmq_reader *r = arg;
    pthread_mutex_lock(&r->lock);
    bool news = !TAILQ_EMPTY(&r->pages) || r->failed.code != HMQ_OK || r->closing || r->interrupted;
    pthread_mutex_unlock(&r->lock);
    return news;
}

static void reader_take_page(struct hmq_reader *r, struct reader_page *page)
{
    const struct hmq_batch *batch = page->batch;
    TAILQ_REMOVE(&r->pages, page, link);
    r->waiting -= page->bytes;
    page->batch->gap = r->gap + (hmq_message_offset(&batch->items[0]) - r->position);
    r->stats.read += batch->n;
    r->stats.waiting -= batch->n;
    r->stats.batches++;
    r->stats.left_out += batch->gap;
    r->gap = 0;
    r->position = hmq_message_offset(&batch->items[batch->n - 1]) + 1;
}

/* HMQ_EAGAIN: another thread took it. */
static enum hmq_status reader_take_news(struct hmq_reader *r, hmq_batch **ret_batch, hmq_error *err)
{
    enum hmq_status status = HMQ_EAGAIN;
    pthread_mutex_lock(&r->lock);
    struct reader_page *page = r->closing || r->interrupted ? NULL : TAILQ_FIRST(&r->pages);
    if (r->closing) {
        status = error_plain(err, HMQ_ECLOSED);
    } else if (r->interrupted) {
        r->interrupted = false;
        status = error_plain(err, HMQ_EINTERRUPTED);
    } else if (page) {
        reader_take_page(r, page);
        batch_hand_over(page->batch);
        *ret_batch = page->batch;
        status = error_none(err);
    } else if (r->failed.code != HMQ_OK) {
        status = error_set(err, r->failed.code, "%s", r->failed.text);
        r->failed.code = HMQ_OK; /* so that it is tried again */
        service_kick(r->client, &r->service);
    }
    reader_pump(r);
    pthread_mutex_unlock(&r->lock);
    free(page);
    return status;
}

/* Under the lock: goes on from there. Nothing of a stream that was opened elsewhere is taken any more. */
static void reader_move(struct hmq_reader *r, uint64_t offset)
{
    reader_drop_pages(r);
    r->waiting = 0;
    r->offset = r->position = offset;
    r->failed.code = HMQ_OK;
    r->moved = r->opening;
    reader_leave_stream(r);
}

/* The stream ended at messages that cannot be read: which ones, READ tells. Where it does not, the next call tries
 * again. */
static enum hmq_status reader_skip_damage(struct hmq_reader *r, int64_t deadline_ms, hmq_error *err)
{
    struct queue_place q = {r->client, &r->gate, r, r->topic, r->queue};
    hmq_error said;
    bool found;
    int64_t stored_ms, left_ms = deadline_ms - clock_ms();
    pthread_mutex_lock(&r->lock);
    uint64_t from = r->position, next = from;
    pthread_mutex_unlock(&r->lock);
    enum hmq_status status = queue_look(&q, from, left_ms > 0 ? left_ms : 0, &found, &next, &stored_ms, &said);
    if (status != HMQ_EDAMAGED)
        return HMQ_EDAMAGED;
    pthread_mutex_lock(&r->lock);
    if (r->position == from && TAILQ_EMPTY(&r->pages)) {
        uint64_t gap = r->gap + (next - from);
        reader_move(r, next);
        r->gap = gap;
    }
    pthread_mutex_unlock(&r->lock);
    return error_set(err, status, "%s", said.text);
}

static enum hmq_status reader_next_inside(hmq_reader *r, int64_t deadline_ms, hmq_batch **ret_batch, hmq_error *err)
{
    enum hmq_status status = HMQ_EAGAIN;
    while (status == HMQ_EAGAIN) {
        enum hmq_status waited = wait_until(r->client, reader_has_news, r, deadline_ms);
        if (waited == HMQ_ETIMEDOUT)
            return error_set(err, waited, "no message came in time");
        if (waited != HMQ_OK)
            return error_plain(err, waited);
        status = reader_take_news(r, ret_batch, err);
    }
    return status == HMQ_EDAMAGED ? reader_skip_damage(r, deadline_ms, err) : status;
}

enum hmq_status hmq_reader_next(hmq_reader *r, int64_t timeout_ms, hmq_batch **ret_batch,
                                hmq_error *err)
{
    if (!r || !ret_batch)
        return error_set(err, HMQ_EINVAL, "the reader or ret_batch is NULL");
    struct hmq_client *c = r->client;
    if (!gate_enter(&r->gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = reader_next_inside(r, client_deadline(c, timeout_ms), ret_batch, err);
    if (status == HMQ_OK)
        intercept_batch(&client_options(c)->interceptors, *ret_batch);
    gate_leave(&r->gate, c);
    return status;
}

void hmq_reader_interrupt(hmq_reader *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->interrupted = true;
    client_changed(r->client);
    pthread_mutex_unlock(&r->lock);
}

enum hmq_status hmq_reader_seek(hmq_reader *r, uint64_t offset, hmq_error *err)
{
    if (!r || offset > INT64_MAX)
        return error_set(err, HMQ_EINVAL, "a reader needs an offset below 2^63 to go on from");
    pthread_mutex_lock(&r->lock);
    reader_move(r, offset);
    r->gap = 0;
    pthread_mutex_unlock(&r->lock);
    return error_none(err);
}

uint64_t hmq_reader_position(hmq_reader *r)
{
    if (!r)
        return 0;
    pthread_mutex_lock(&r->lock);
    uint64_t position = r->position;
    pthread_mutex_unlock(&r->lock);
    return position;
}

static bool reader_is_left(void *arg)
{
    const struct hmq_reader *r = arg;
    return gate_empty(&r->gate);
}

static bool reader_nothing_open(void *arg)
{
    struct hmq_reader *r = arg;
    pthread_mutex_lock(&r->lock);
    bool nothing = !r->opening;
    pthread_mutex_unlock(&r->lock);
    return nothing;
}

enum hmq_status hmq_reader_close(hmq_reader *r, int64_t timeout_ms, hmq_error *err)
{
    if (!r)
        return error_none(err);
    struct hmq_client *c = r->client;
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    if (!wait_is_possible(c))
        return error_plain(err, HMQ_EWOULDBLOCK);
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_mutex_unlock(&r->lock);
    gate_close(&r->gate, c); /* wakes those who wait for a message */
    (void)wait_until(c, reader_is_left, r, INT64_MAX);
    enum hmq_status status =
        wait_until(c, reader_nothing_open, r, deadline_ms); /* to know the number of the stream, which is to be closed */
    service_remove(c, &r->service);
    stats_remove(c, &r->shown);
    client_cancel_owned(c, r);
    (void)wait_until(c, reader_nothing_open, r, INT64_MAX);
    if (r->stream)
        (void)respond_stream(c, r->epoch, "stream_close", r->stream, -1);
    if (r->given_up)
        (void)reader_close_given_up(r);
    reader_free(r);
    client_release(c);
    if (status == HMQ_ETIMEDOUT)
        return error_set(err, status, "the broker has not replied to the reader yet");
    return error_plain(err, status);
}
