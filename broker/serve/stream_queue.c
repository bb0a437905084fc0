/*
 * stream_queue.c: a stream that reads a queue: view ──► records out, as far as credit and room allow ──► at the end:
 * parked with the READs, until news of the topic.
 */
#include "broker/serve/stream_queue.h"

#include "broker/serve/session.h"
#include "broker/serve/stream.h"
#include "broker/serve/stream_out.h"

static void stream_queue_pump(struct stream *s);

static void stream_queue_woken(struct stream *s)
{
    struct waiter *w = s->wait;
    s->wait = NULL;
    waiter_free(w, true);
    conn_touch(s->conn);
}

static const struct stream_kind stream_queue_kind = {
    .credit_max = STREAM_BYTES_MAX, .pump = stream_queue_pump, .woken = stream_queue_woken};

/* What was sent in one turn. */
struct stream_sent {
    struct stream *stream;
    bool damaged;
    bool no_room; /* for the part that begins at `rest` */
    uint64_t rest;
};

static bool stream_queue_push(void *arg, const struct part *p)
{
    struct stream_sent *sum = arg;
    struct stream *s = sum->stream;
    size_t bytes = 0;
    sum->no_room = !stream_has_room_for(s, record_cut_size(p->record, p->h, p->from, p->n));
    sum->rest = p->h->base + p->from;
    if (sum->no_room)
        return false;
    sum->damaged = !stream_push(s, p, &bytes);
    if (sum->damaged)
        return false;
    s->credit -= (int64_t)bytes;
    return stream_has_room(s) && s->credit > 0;
}

bool stream_queue_open(struct conn *c, const struct command *read, int64_t credit, const struct reader *reader,
                       uint64_t *ret_id)
{
    struct stream *s = stream_new(c, &stream_queue_kind, read, credit);
    if (!s)
        return false;
    s->reader = *reader;
    s->reader.topic = s->cmd.pos[0];
    s->answered = true;
    *ret_id = s->id;
    return true;
}

/* Parks in the same callback that opened the view, so news of anything newer is still to come. */
static void stream_queue_park(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    uint64_t key = news_key(NEWS_TOPIC, s->reader.topic, slice_of(NULL, 0));
    if (e && stream_park(s, e, key, 0))
        return;
    entry_free(e);
    stream_retry_later(s, STREAM_REFUSED_RETRY_MS);
}

static void stream_queue_pump(struct stream *s)
{
    struct conn *c = s->conn;
    struct stream_sent sum = {.stream = s};
    bool at_end = false;
    if (s->wait || timer_is_set(&s->retry) || s->credit <= 0 || !stream_has_room(s))
        return;
    struct view *v = loop_view(c->loop);
    if (v && stream_room_is_small(c) && !stream_has_room_for(s, query_weigh_reader(v, &s->reader).message)) {
        stream_retry_later(s, STREAM_LANE_RETRY_MS); /* the next message is large: it is not even read */
        return;
    }
    if (v)
        stream_limit_parts(s, v);
    enum status st = v ? reader_parts(&s->reader, v, stream_queue_push, &sum, &at_end) : ST_NOMEM;
    if (stream_output_failed(c))
        return;
    if (sum.no_room)
        s->reader.next = sum.rest;
    if (sum.no_room)
        stream_retry_later(s, STREAM_LANE_RETRY_MS);
    else if (st == ST_NOMEM)
        stream_retry_later(s, STREAM_REFUSED_RETRY_MS);
    else if (st == ST_NOTOPIC)
        stream_end(s, ST_NOTOPIC, "the topic was deleted");
    else if (st != ST_OK || sum.damaged)
        stream_end(s, sum.damaged || st == ST_DAMAGED ? ST_DAMAGED : ST_ERR, "a record cannot be read");
    else if (at_end)
        stream_queue_park(s);
}
