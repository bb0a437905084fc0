/*
 * queue.c: where a queue begins and ends, and which offset belongs to a time; see queue.h.
 *
 * The broker's READ knows offsets only. As `stored` never goes down within a queue, a time is found by halving the range of
 * offsets: each step reads one message, so ten million messages take 24 of them.
 */
#include "clients/c/roles/queue.h"

#include "clients/c/wire/clock.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"
#include "protocol/base/text.h"

static enum hmq_status queue_await(const struct queue_place *q, struct awaited *w, int64_t timeout_ms, hmq_error *err)
{
    if (q->gate)
        return awaited_init_of(w, q->client, q->gate, q->owner, timeout_ms, err);
    return awaited_init(w, q->client, timeout_ms, err);
}

/* The broker says "topic:queue:first-last cannot be read: ...". False: it says something else. */
static bool queue_behind_damage(const hmq_error *err, uint64_t *ret_offset)
{
    struct message_id first;
    uint64_t last;
    struct slice range = slice_of(err->text, strcspn(err->text, " "));
    if (!text_id_range(range, &first, &last))
        return false;
    *ret_offset = last + 1;
    return true;
}

static enum hmq_status queue_read(const struct queue_place *q, uint64_t offset, int64_t timeout_ms,
                                  struct hmq_reply **ret_reply, hmq_error *err)
{
    struct awaited w;
    enum hmq_status status = queue_await(q, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    request_begin(&w.call, "read", 4);
    pair_text(&w.call.frame, "topic", q->topic);
    pair_int(&w.call.frame, "queue", q->queue);
    pair_int(&w.call.frame, "offset", (int64_t)offset);
    pair_int(&w.call.frame, "count", 1);
    w.call.repeat = CALL_AGAIN_BUSY;
    return awaited_run(&w, ret_reply);
}

enum hmq_status queue_look(const struct queue_place *q, uint64_t offset, int64_t timeout_ms, bool *ret_found,
                           uint64_t *ret_offset, int64_t *ret_stored_ms, hmq_error *err)
{
    struct hmq_reply *reply = NULL;
    hmq_error own;
    err = err ? err : &own;
    enum hmq_status status = queue_read(q, offset, timeout_ms, &reply, err);
    if (status == HMQ_EDAMAGED && !queue_behind_damage(err, ret_offset))
        return error_set(err, HMQ_EPROTO, "the broker does not say which messages are damaged");
    if (status != HMQ_OK)
        return status;
    const struct hmq_reply *attributes = hmq_reply_get(hmq_reply_at(reply, 0), "attributes");
    *ret_found = hmq_reply_len(reply) > 0;
    *ret_offset = reply_uint(hmq_reply_get(attributes, "offset"));
    *ret_stored_ms = hmq_reply_int(hmq_reply_get(attributes, "stored"), 0);
    hmq_reply_free(reply);
    return HMQ_OK;
}

static enum hmq_status queue_read_range(const struct hmq_reply *info, const struct queue_place *q, uint64_t *ret_first,
                                        uint64_t *ret_end, hmq_error *err)
{
    const struct hmq_reply *rows = hmq_reply_get(info, "queue");
    const struct hmq_reply *row = hmq_reply_at(rows, q->queue);
    if (!row)
        return error_set(err, HMQ_EREFUSED, "queue %u does not exist: the topic has %zu queues", q->queue,
                         hmq_reply_len(rows));
    if (ret_first)
        *ret_first = reply_uint(hmq_reply_get(row, "first"));
    if (ret_end)
        *ret_end = reply_uint(hmq_reply_get(row, "next"));
    return HMQ_OK;
}

enum hmq_status hmq_queue_range(hmq_client *c, const char *topic, uint32_t queue, int64_t timeout_ms,
                                uint64_t *ret_first, uint64_t *ret_end, hmq_error *err)
{
    struct queue_place q = {.client = c, .topic = topic, .queue = queue};
    struct awaited w;
    struct hmq_reply *info = NULL;
    if (!c || !topic)
        return error_set(err, HMQ_EINVAL, "a range needs a client and a topic");
    enum hmq_status status = queue_await(&q, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    request_begin(&w.call, "topic_info", 1);
    pair_text(&w.call.frame, "name", topic);
    w.call.repeat = CALL_AGAIN_BUSY;
    status = awaited_run(&w, &info);
    if (status == HMQ_OK)
        status = queue_read_range(info, &q, ret_first, ret_end, err);
    hmq_reply_free(info);
    return status;
}

/*
 * Halves the range: what is before *first was stored before the time, what is from *end on was not. Looks behind damage,
 * and where all from the middle on is damaged, or gone, goes on before it.
 */
static enum hmq_status queue_halve(const struct queue_place *q, int64_t stored_ms, int64_t timeout_ms, uint64_t *first,
                                   uint64_t *end, hmq_error *err)
{
    uint64_t middle = *first + (*end - *first) / 2, at = middle, found_at = 0;
    int64_t found_ms = 0;
    bool found = false;
    enum hmq_status status;
    while ((status = queue_look(q, at, timeout_ms, &found, &found_at, &found_ms, err)) == HMQ_EDAMAGED) {
        at = found_at;
        if (at >= *end)
            break;
    }
    if (status != HMQ_OK && status != HMQ_EDAMAGED)
        return status;
    if (status == HMQ_OK && found && found_at < *end && found_ms < stored_ms)
        *first = found_at + 1;
    else
        *end = middle;
    return HMQ_OK;
}

enum hmq_status hmq_queue_find(hmq_client *c, const char *topic, uint32_t queue, int64_t stored_ms, int64_t timeout_ms,
                               uint64_t *ret_offset, hmq_error *err)
{
    struct queue_place q = {.client = c, .topic = topic, .queue = queue};
    uint64_t first = 0, end = 0;
    if (!ret_offset)
        return error_set(err, HMQ_EINVAL, "ret_offset is NULL");
    enum hmq_status status = hmq_queue_range(c, topic, queue, timeout_ms, &first, &end, err);
    if (status != HMQ_OK)
        return status;
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    while (first < end) {
        int64_t left_ms = deadline_ms - clock_ms();
        status = queue_halve(&q, stored_ms, left_ms > 0 ? left_ms : 0, &first, &end, err);
        if (status != HMQ_OK)
            return status;
    }
    *ret_offset = first;
    return error_none(err);
}
