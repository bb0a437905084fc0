/*
 * test_client_reader_fake.c: tests hmq_reader against a broker that the test plays: one that ends the stream at damaged
 * messages, and one that is told to close a stream which was opened before a seek.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "protocol/record/record.h"
#include "tests/lib/fake.h"

struct stage {
    struct fake *fake;
    hmq_client *client;
    hmq_reader *reader;
    pthread_t thread; /* calls hmq_reader_next once */
    enum hmq_status status;
    hmq_batch *batch;
    hmq_error err;
};

static void begin(struct stage *s, struct fake *f, uint64_t offset)
{
    hmq_error err;
    *s = (struct stage){.fake = f};
    s->client = fake_client_of(f, "?call_timeout_ms=60000");
    RIG_CHECK(hmq_reader_new(s->client, "t", 2, offset, NULL, &s->reader, &err), &err);
    fake_answer_call(f);
}

static void end(struct stage *s)
{
    hmq_error err;
    fake_hang_up(s->fake);
    enum hmq_status status = hmq_reader_close(s->reader, 20, &err);
    assert_true(status == HMQ_OK || status == HMQ_ETIMEDOUT);
    hmq_client_free(s->client);
}

static void *read_next(void *arg)
{
    struct stage *s = arg;
    s->batch = NULL;
    s->status = hmq_reader_next(s->reader, RIG_DEADLINE_MS, &s->batch, &s->err);
    return NULL;
}

static void begin_next(struct stage *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, read_next, s), 0);
}

static void expect(struct fake *f, const char *method)
{
    fake_hear(f);
    if (!slice_equal(f->frame.method, slice_str(method)))
        fail_msg("%.*s came, not %s", (int)f->frame.method.len, (const char *)f->frame.method.data, method);
}

static int64_t int_of(const struct fake *f, const char *name)
{
    int64_t n = -1;
    (void)rpc_int(rpc_get(f->frame.params, name), &n);
    return n;
}

static void say(struct fake *f, struct buf *b)
{
    fake_say(f, b->data, b->len);
    buf_free(b);
}

static void answer_int(struct fake *f, int64_t n)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, f->frame.id);
    rpc_put_int(&b, n);
    say(f, &b);
}

static void send_record(struct fake *f, int64_t stream, uint64_t base)
{
    struct message m = {.body = SLICE_LIT("x")};
    struct buf record, starts, b;
    buf_init(&record, 0);
    buf_init(&starts, 0);
    buf_init(&b, 0);
    record_begin(&record);
    record_add(&record, &starts, &m, 0);
    struct record_header h = {.count = 1, .base = base};
    record_end(&record, &starts, &h);
    rpc_put_notify(&b, "records");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    rpc_put_str(&b, SLICE_LIT("stream"));
    rpc_put_int(&b, stream);
    rpc_put_str(&b, SLICE_LIT("record"));
    rpc_put_bin(&b, buf_slice(&record));
    say(f, &b);
    buf_free(&record);
    buf_free(&starts);
}

static void end_stream(struct fake *f, int64_t stream, const char *code)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_notify(&b, "stream_end");
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 2);
    rpc_put_str(&b, SLICE_LIT("stream"));
    rpc_put_int(&b, stream);
    rpc_put_str(&b, SLICE_LIT("error"));
    rpc_put_list(&b, 2);
    rpc_put_str(&b, slice_str(code));
    rpc_put_str(&b, SLICE_LIT("a record cannot be read"));
    say(f, &b);
}

static void refuse(struct fake *f, const char *code, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    rpc_put_error(&b, f->frame.id, code, slice_str(text));
    say(f, &b);
}

static void test_goes_on_behind_damage(void **state)
{
    struct stage s;
    begin(&s, *state, 5);
    expect(s.fake, "stream_queue");
    assert_int_equal(int_of(s.fake, "offset"), 5);
    answer_int(s.fake, 1);
    end_stream(s.fake, 1, "DAMAGED");
    begin_next(&s);
    do
        fake_hear(s.fake); /* it may ask for the stream again before it knows more */
    while (slice_equal(s.fake->frame.method, SLICE_LIT("stream_queue")));
    assert_true(slice_equal(s.fake->frame.method, SLICE_LIT("read")));
    assert_int_equal(int_of(s.fake, "offset"), 5);
    refuse(s.fake, "DAMAGED", "t:2:5-8 cannot be read: the first offset behind it is 9");
    pthread_join(s.thread, NULL);
    assert_int_equal(s.status, HMQ_EDAMAGED);
    assert_non_null(strstr(s.err.text, "t:2:5-8"));
    assert_int_equal(hmq_reader_position(s.reader), 9);
    end(&s);
}

/* A stream whose opening is answered after a seek is closed, what it sends is dropped, and another one is opened. */
static void test_seeks_while_it_opens(void **state)
{
    struct stage s;
    hmq_error err;
    begin(&s, *state, 5);
    expect(s.fake, "stream_queue");
    RIG_CHECK(hmq_reader_seek(s.reader, 70, &err), &err);
    answer_int(s.fake, 3);
    send_record(s.fake, 3, 5);
    expect(s.fake, "stream_close");
    assert_int_equal(int_of(s.fake, "stream"), 3);
    expect(s.fake, "stream_queue");
    assert_int_equal(int_of(s.fake, "offset"), 70);
    answer_int(s.fake, 4);
    send_record(s.fake, 4, 72);
    begin_next(&s);
    pthread_join(s.thread, NULL);
    RIG_CHECK(s.status, &s.err);
    assert_int_equal(hmq_message_offset(hmq_batch_at(s.batch, 0)), 72);
    assert_int_equal(hmq_batch_gap(s.batch), 2);
    hmq_batch_free(s.batch);
    end(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_start, fake_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_goes_on_behind_damage),
        TEST(test_seeks_while_it_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
