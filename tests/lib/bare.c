/*
 * bare.c: does what driver.c and peer.c do around the core, but without a socket (bare.h).
 */
#include "tests/lib/bare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "clients/c/client/dispatch.h"
#include "clients/c/client/service.h"
#include "clients/c/wire/clock.h"
#include "protocol/record/record.h"

#define PIECES 64

static void inside(struct bare *b, bool in)
{
    if (b->inside)
        b->inside(in);
}

void bare_start(struct bare *b, const char *query)
{
    struct hmq_client *c = &b->client;
    char uri[256];
    *b =
        (struct bare){.to_client = rpc_reader_new(1 << 20), .from_client = rpc_reader_new(1 << 20)};
    assert_true(b->to_client && b->from_client);
    buf_init(&b->out, 0);
    c->options = hmq_options_new();
    assert_non_null(c->options);
    snprintf(uri, sizeof uri, "hmq://127.0.0.1%s", query);
    assert_int_equal(hmq_options_set_uri(c->options, uri, NULL), HMQ_OK);
    assert_int_equal(pthread_mutex_init(&c->lock, NULL), 0);
    assert_int_equal(pthread_mutex_init(&c->stats_lock, NULL), 0);
    assert_true(clock_cond_init(&c->changed));
    core_init(&c->core);
    c->core.max_pending = (size_t)options_num(c->options, CHOICE_max_pending);
    c->core.max_pending_bytes = (size_t)options_num(c->options, CHOICE_max_pending_bytes);
    c->core.batch_bytes = (size_t)options_num(c->options, CHOICE_max_batch_bytes);
    TAILQ_INIT(&c->services);
    TAILQ_INIT(&c->taken_back);
    c->users = 1;
    c->wake_fd = -1; /* no thread sleeps, so there is nothing to wake */
    c->line = LINE_UP;
    c->epoch = 1;
}

void bare_stop(struct bare *b)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    struct hmq_client *c = &b->client;
    assert_true(TAILQ_EMPTY(&c->services));
    core_close(&c->core, &dead);
    client_finish(c, &dead);
    core_fini(&c->core);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->stats_lock);
    pthread_mutex_destroy(&c->lock);
    hmq_options_free(c->options);
    rpc_reader_free(b->to_client);
    rpc_reader_free(b->from_client);
    buf_free(&b->out);
}

static bool serve(struct service *s, void *arg)
{
    struct hmq_client *c = arg;
    int64_t now_ms = clock_ms();
    pthread_mutex_lock(&c->lock);
    bool due = s->tick && s->due_ms <= now_ms;
    if (due)
        s->due_ms = CORE_NEVER;
    pthread_mutex_unlock(&c->lock);
    if (due)
        service_at(c, s, s->tick(s, now_ms));
    return false;
}

void bare_tick(struct bare *b)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    struct hmq_client *c = &b->client;
    pthread_mutex_lock(&c->lock);
    core_expire(&c->core, clock_ms(), c->line != LINE_DOWN, &dead);
    pthread_mutex_unlock(&c->lock);
    inside(b, true);
    client_finish(c, &dead);
    service_visit(c, serve, c);
    inside(b, false);
}

static bool tell_connected(struct service *s, void *arg)
{
    (void)arg;
    if (s->connected)
        s->connected(s);
    return false;
}

void bare_reconnect(struct bare *b)
{
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    struct hmq_client *c = &b->client;
    buf_reset(&b->out, 0);
    b->used = 0;
    pthread_mutex_lock(&c->lock);
    c->line = LINE_DOWN;
    core_lost(&c->core, &dead);
    pthread_mutex_unlock(&c->lock);
    inside(b, true);
    client_finish(c, &dead);
    pthread_mutex_lock(&c->lock);
    c->line = LINE_UP;
    c->epoch++;
    pthread_mutex_unlock(&c->lock);
    service_visit(c, tell_connected, NULL);
    inside(b, false);
}

/* Takes the frames that are due to be written. */
static void take_written(struct bare *b)
{
    struct call_list done = TAILQ_HEAD_INITIALIZER(done);
    struct core *core = &b->client.core;
    struct iovec iov[PIECES];
    pthread_mutex_lock(&b->client.lock);
    while (core_flush_due(core, clock_ms())) {
        size_t n = core_gather(core, iov, PIECES), bytes = 0;
        for (size_t i = 0; i < n; i++) {
            buf_put(&b->out, iov[i].iov_base, iov[i].iov_len);
            bytes += iov[i].iov_len;
        }
        core_wrote(core, bytes, &done);
    }
    pthread_mutex_unlock(&b->client.lock);
    client_finish(&b->client, &done);
}

bool bare_hear(struct bare *b)
{
    char err[128];
    buf_consume(&b->out, b->used);
    b->used = 0;
    take_written(b);
    if (b->out.len == 0)
        return false;
    assert_int_equal(
        rpc_reader_next(b->from_client, buf_slice(&b->out), &b->frame, &b->used, err, sizeof err),
        ST_OK);
    return true;
}

void bare_expect(struct bare *b, const char *method)
{
    if (!bare_hear(b))
        fail_msg("nothing came, %s should have", method);
    if (!bare_is(b, method))
        fail_msg("%.*s came, not %s", (int)b->frame.method.len, (const char *)b->frame.method.data,
                 method);
}

void bare_say(struct bare *b, struct slice bytes)
{
    struct rpc_frame frame;
    size_t used;
    char err[128];
    assert_int_equal(rpc_reader_next(b->to_client, bytes, &frame, &used, err, sizeof err), ST_OK);
    assert_int_equal(used, bytes.len);
    inside(b, true);
    dispatch_frame(&b->client, &frame);
    service_visit(&b->client, serve, &b->client); /* as at the end of the driver's turn */
    inside(b, false);
}

static void put_int(struct buf *b, const char *name, int64_t n)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_int(b, n);
}

static void make_record(struct buf *record, uint64_t base, uint32_t n)
{
    struct buf starts;
    struct message m = {.body = SLICE_LIT("body")};
    struct record_header h = {.count = n, .base = base, .stored_ms = 5};
    buf_init(record, 0);
    buf_init(&starts, 0);
    record_begin(record);
    for (uint32_t i = 0; i < n; i++)
        record_add(record, &starts, &m, 5);
    record_end(record, &starts, &h);
    buf_free(&starts);
}

void bare_say_records(struct bare *b, int64_t stream, unsigned attempt, uint64_t base, uint32_t n)
{
    struct buf record;
    make_record(&record, base, n);
    bare_say_record(b, stream, attempt, buf_slice(&record));
    buf_free(&record);
}

void bare_say_record(struct bare *b, int64_t stream, unsigned attempt, struct slice record)
{
    struct buf frame;
    buf_init(&frame, 0);
    rpc_put_notify(&frame, "records");
    rpc_put_list(&frame, 1);
    rpc_put_map(&frame, 6);
    put_int(&frame, "stream", stream);
    rpc_put_str(&frame, SLICE_LIT("topic"));
    rpc_put_str(&frame, SLICE_LIT("t"));
    put_int(&frame, "queue", 0);
    put_int(&frame, "attempt", attempt);
    put_int(&frame, "lease_until", 99);
    rpc_put_str(&frame, SLICE_LIT("record"));
    rpc_put_bin(&frame, record);
    bare_say(b, buf_slice(&frame));
    buf_free(&frame);
}

bool bare_is(const struct bare *b, const char *method)
{
    return slice_equal(b->frame.method, slice_str(method));
}

struct slice bare_bytes(const struct bare *b, const char *name)
{
    struct slice s = {0};
    (void)rpc_bytes(rpc_get(b->frame.params, name), &s);
    return s;
}

int64_t bare_int(const struct bare *b, const char *name)
{
    int64_t n = -1;
    (void)rpc_int(rpc_get(b->frame.params, name), &n);
    return n;
}

unsigned bare_count(const struct bare *b)
{
    struct record_header h;
    assert_int_equal(record_verify(bare_bytes(b, "batch"), &h), ST_OK);
    return h.count;
}

static void say_buf(struct bare *b, struct buf *frame)
{
    bare_say(b, buf_slice(frame));
    buf_free(frame);
}

static void result(struct bare *b, struct buf *frame)
{
    buf_init(frame, 0);
    rpc_put_result(frame, b->frame.id);
}

void bare_answer_text(struct bare *b, const char *text)
{
    struct buf frame;
    result(b, &frame);
    rpc_put_str(&frame, slice_str(text));
    say_buf(b, &frame);
}

void bare_answer_int(struct bare *b, const char *name, int64_t n)
{
    struct buf frame;
    result(b, &frame);
    if (name) {
        rpc_put_map(&frame, 1);
        rpc_put_str(&frame, slice_str(name));
    }
    rpc_put_int(&frame, n);
    say_buf(b, &frame);
}

void bare_answer_place(struct bare *b, int64_t queue, int64_t offset, int64_t count)
{
    struct buf frame;
    result(b, &frame);
    rpc_put_map(&frame, 3);
    put_int(&frame, "queue", queue);
    put_int(&frame, "offset", offset);
    put_int(&frame, "count", count);
    say_buf(b, &frame);
}

void bare_refuse(struct bare *b, const char *code, const char *text)
{
    struct buf frame;
    buf_init(&frame, 0);
    rpc_put_error(&frame, b->frame.id, code, slice_str(text));
    say_buf(b, &frame);
}
