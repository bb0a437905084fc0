/*
 * test_client_core.c: tests the core, which keeps the client's pending requests. The test gives it bytes and the time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/wire/core.h"
#include "clients/c/wire/request.h"

#define CALLS 8

struct bench {
    struct core core;
    struct call calls[CALLS];
    enum hmq_status ended[CALLS]; /* with which status a call ended */
    struct rpc_reader *reader; /* reads the frames as the broker would */
    struct buf wire;
};

static void done(struct call *call, const struct call_outcome *outcome)
{
    (void)call;
    (void)outcome;
}

static int start(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    core_init(&b->core);
    b->core.batch_bytes = 1 << 20;
    b->reader = rpc_reader_new(1 << 20);
    assert_non_null(b->reader);
    buf_init(&b->wire, 0);
    *state = b;
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    core_close(&b->core, &dead);
    core_fini(&b->core);
    for (size_t i = 0; i < CALLS; i++)
        call_fini(&b->calls[i]);
    rpc_reader_free(b->reader);
    buf_free(&b->wire);
    free(b);
    return 0;
}

/* Prepares call i, whose id is 100 + i, with a deadline. */
static struct call *prepare(struct bench *b, size_t i, int64_t deadline_ms)
{
    struct call *call = &b->calls[i];
    call_init(call, (uint32_t)(100 + i), done);
    request_begin(call, "ping", 1);
    pair_int(&call->frame, "text", (int64_t)i);
    call->deadline_ms = deadline_ms;
    return call;
}

static struct call *submit(struct bench *b, size_t i, int64_t deadline_ms)
{
    struct call *call = prepare(b, i, deadline_ms);
    assert_int_equal(core_submit(&b->core, call, 0, 0), HMQ_OK);
    return call;
}

static struct call *submit_repeatable(struct bench *b, size_t i, int64_t deadline_ms)
{
    struct call *call = prepare(b, i, deadline_ms);
    call->repeat = CALL_AGAIN_BUSY;
    assert_int_equal(core_submit(&b->core, call, 0, 0), HMQ_OK);
    return call;
}

/* Writes at most n bytes of the frames that are due. */
static size_t write_bytes(struct bench *b, size_t n)
{
    struct iovec iov[CALLS + 1];
    struct call_list notes = TAILQ_HEAD_INITIALIZER(notes);
    size_t pieces = core_gather(&b->core, iov, CALLS + 1), written = 0;
    for (size_t i = 0; i < pieces && written < n; i++) {
        size_t part = iov[i].iov_len < n - written ? iov[i].iov_len : n - written;
        buf_put(&b->wire, iov[i].iov_base, part);
        written += part;
    }
    core_wrote(&b->core, written, &notes);
    return written;
}

static void write_all(struct bench *b)
{
    while (write_bytes(b, SIZE_MAX) > 0)
        continue;
}

/* Returns the id of the next frame that the broker reads; -1: there is none. */
static int64_t read_id(struct bench *b)
{
    struct rpc_frame frame;
    size_t used = 0;
    char err[128];
    enum status status =
        rpc_reader_next(b->reader, buf_slice(&b->wire), &frame, &used, err, sizeof err);
    if (status != ST_OK) {
        assert_int_equal(status, ST_MORE);
        return -1;
    }
    assert_int_equal(frame.type, RPC_REQUEST);
    int64_t id = (int64_t)frame.id;
    buf_consume(&b->wire, used);
    return id;
}

static void expect_ids(struct bench *b, const int *ids)
{
    for (; *ids; ids++)
        assert_int_equal(read_id(b), *ids);
    assert_int_equal(read_id(b), -1);
}

/* Gives the core a reply to call i: a result, or an error. */
static struct call *answer(struct bench *b, size_t i, const char *code, int64_t now_ms,
                           enum hmq_status *ret_status)
{
    struct buf bytes;
    struct rpc_frame frame;
    struct call_outcome outcome = {.status = HMQ_OK};
    size_t used;
    char err[128];
    struct rpc_reader *reader = rpc_reader_new(1 << 16);
    assert_non_null(reader);
    buf_init(&bytes, 0);
    if (code) {
        rpc_put_error(&bytes, 100 + i, code, SLICE_LIT("because"));
    } else {
        rpc_put_result(&bytes, 100 + i);
        rpc_put_str(&bytes, SLICE_LIT("PONG"));
    }
    assert_int_equal(rpc_reader_next(reader, buf_slice(&bytes), &frame, &used, err, sizeof err),
                     ST_OK);
    struct call *call = core_answer(&b->core, &frame, now_ms, &outcome);
    *ret_status = outcome.status;
    if (call && code && outcome.status != HMQ_EUNKNOWN)
        assert_true(slice_equal(outcome.text, SLICE_LIT("because")));
    rpc_reader_free(reader);
    buf_free(&bytes);
    return call;
}

static void expect_dead(struct call_list *dead, struct call *call, enum hmq_status status)
{
    struct call *first = TAILQ_FIRST(dead);
    assert_ptr_equal(first, call);
    assert_int_equal(first->status, status);
    assert_int_equal(first->state, CALL_TAKEN);
    TAILQ_REMOVE(dead, first, link);
}

static void test_answers_in_any_order(void **state)
{
    struct bench *b = *state;
    enum hmq_status status;
    for (size_t i = 0; i < 3; i++)
        submit(b, i, 1000);
    assert_int_equal(b->core.pending, 3);
    write_all(b);
    expect_ids(b, (int[]){100, 101, 102, 0});
    assert_ptr_equal(answer(b, 2, NULL, 1, &status), &b->calls[2]);
    assert_int_equal(status, HMQ_OK);
    assert_ptr_equal(answer(b, 0, "STALE", 1, &status), &b->calls[0]);
    assert_int_equal(status, HMQ_ESTALE);
    assert_ptr_equal(answer(b, 1, "NEWCODE", 1, &status), &b->calls[1]);
    assert_int_equal(status, HMQ_EREFUSED);
    assert_null(answer(b, 1, NULL, 1, &status)); /* a second reply, and a reply without a call */
    assert_null(answer(b, 7, NULL, 1, &status));
    assert_int_equal(b->core.pending, 0);
    assert_int_equal(b->core.pending_bytes, 0);
    assert_int_equal(b->core.responses, 3);
}

static void test_byte_by_byte(void **state)
{
    struct bench *b = *state;
    for (size_t i = 0; i < 3; i++)
        submit(b, i, 1000);
    while (write_bytes(b, 1) > 0)
        continue;
    expect_ids(b, (int[]){100, 101, 102, 0});
    assert_int_equal(core_next_flush(&b->core), CORE_NEVER);
}

static void test_lingers(void **state)
{
    struct bench *b = *state;
    b->core.batch_bytes = 60;
    assert_int_equal(core_submit(&b->core, prepare(b, 0, 1000), 5, 10), HMQ_OK);
    assert_false(core_flush_due(&b->core, 14));
    assert_true(core_flush_due(&b->core, 15));
    assert_int_equal(core_submit(&b->core, prepare(b, 1, 1000), 7, 10), HMQ_OK);
    assert_int_equal(core_next_flush(&b->core), 15);
    while (b->core.queued_bytes < 60) { /* enough bytes end linger_ms */
        size_t i = b->core.pending;
        assert_false(core_flush_due(&b->core, 8));
        assert_int_equal(core_submit(&b->core, prepare(b, i, 1000), 8, 10), HMQ_OK);
    }
    assert_true(core_flush_due(&b->core, 8));
}

static void test_bounds(void **state)
{
    struct bench *b = *state;
    b->core.max_pending = 2;
    submit(b, 0, 1000);
    submit(b, 1, 1000);
    assert_int_equal(core_submit(&b->core, prepare(b, 2, 1000), 0, 0), HMQ_EAGAIN);
    call_fini(&b->calls[2]);
    struct call *inner = prepare(b, 3, 1000);
    inner->kind = CALL_INNER;
    assert_int_equal(core_submit(&b->core, inner, 0, 0), HMQ_OK);
    b->core.max_pending = 100;
    b->core.max_pending_bytes = b->core.pending_bytes + 1;
    assert_int_equal(core_submit(&b->core, prepare(b, 4, 1000), 0, 0), HMQ_EAGAIN);
    call_fini(&b->calls[4]);
}

static void test_a_large_call_passes_alone(void **state)
{
    struct bench *b = *state;
    b->core.max_pending_bytes = 1;
    submit(b, 0, 1000);
    assert_int_equal(core_submit(&b->core, prepare(b, 1, 1000), 0, 0), HMQ_EAGAIN);
    call_fini(&b->calls[1]);
}

static void test_deadlines(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    submit(b, 0, 300);
    submit(b, 1, 100);
    write_bytes(b, b->calls[0].frame.len); /* only the first frame is sent */
    submit(b, 2, 200);
    assert_int_equal(core_next_expiry(&b->core), 100);
    core_expire(&b->core, 99, true, &dead);
    assert_true(TAILQ_EMPTY(&dead));
    core_expire(&b->core, 100, true, &dead);
    expect_dead(&dead, &b->calls[1], HMQ_ETIMEDOUT);
    core_expire(&b->core, 299, false, &dead);
    expect_dead(&dead, &b->calls[2], HMQ_EDISCONNECTED);
    core_expire(&b->core, 300, true, &dead);
    expect_dead(&dead, &b->calls[0], HMQ_EUNKNOWN);
    assert_true(TAILQ_EMPTY(&dead));
    assert_int_equal(core_next_expiry(&b->core), CORE_NEVER);
}

static void test_deadline_in_the_middle_of_a_frame(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    submit(b, 0, 100);
    submit(b, 1, 1000);
    write_bytes(b, 3);
    core_expire(&b->core, 100, true, &dead);
    expect_dead(&dead, &b->calls[0], HMQ_EUNKNOWN); /* the rest of its frame will be sent, so it may be done */
    call_fini(&b->calls[0]);
    while (write_bytes(b, 1) > 0)
        continue;
    expect_ids(b, (int[]){100, 101, 0});
}

static void test_cancel(void **state)
{
    struct bench *b = *state;
    submit(b, 0, 1000);
    submit(b, 1, 1000);
    core_cancel(&b->core, &b->calls[0], true);
    assert_int_equal(b->calls[0].status, HMQ_ETIMEDOUT);
    write_all(b);
    core_cancel(&b->core, &b->calls[1], true);
    assert_int_equal(b->calls[1].status, HMQ_EUNKNOWN);
    expect_ids(b, (int[]){101, 0});
    assert_int_equal(b->core.pending, 0);
}

static void test_lost_connection(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    submit_repeatable(b, 0, 1000);
    submit(b, 1, 1000);
    submit_repeatable(b, 2, 1000);
    submit(b, 3, 1000);
    write_all(b);
    submit(b, 4, 1000);
    submit_repeatable(b, 5, 1000);
    write_bytes(b, 3); /* half of call 4: the broker ignores half a frame */
    core_lost(&b->core, &dead);
    expect_dead(&dead, &b->calls[1], HMQ_EUNKNOWN);
    expect_dead(&dead, &b->calls[3], HMQ_EUNKNOWN);
    assert_true(TAILQ_EMPTY(&dead));
    b->wire.len = 0;
    rpc_reader_free(b->reader);
    b->reader = rpc_reader_new(1 << 20);
    write_all(b);
    expect_ids(b,
               (int[]){100, 102, 104, 105, 0}); /* in the order they were submitted, before newer ones */
    assert_int_equal(b->core.resent, 2);
}

static void test_lost_and_never_back(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    submit_repeatable(b, 0, 100);
    write_all(b);
    submit_repeatable(b, 1, 100);
    core_lost(&b->core, &dead);
    core_expire(&b->core, 100, false, &dead);
    struct call *first = TAILQ_FIRST(&dead);
    assert_int_equal(TAILQ_NEXT(first, link) != NULL, 1);
    assert_int_equal(b->calls[0].status, HMQ_EUNKNOWN); /* it may have been done the first time */
    assert_int_equal(b->calls[1].status, HMQ_EDISCONNECTED);
}

/* The first one may have been done, and the broker refuses the second one without looking. */
static void test_a_refusal_after_repeating_proves_nothing(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    const char *codes[] = {"DISKFULL", "READONLY", "NOAUTH", "NOTLEADER"};
    enum hmq_status status;
    for (size_t i = 0; i < 4; i++)
        submit_repeatable(b, i, 1000);
    submit_repeatable(b, 4, 1000);
    submit_repeatable(b, 5, 100);
    write_all(b);
    core_lost(&b->core, &dead);
    write_all(b);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(answer(b, i, codes[i], 0, &status), &b->calls[i]);
        assert_int_equal(status, HMQ_EUNKNOWN);
    }
    assert_ptr_equal(answer(b, 4, "NOTOPIC", 0, &status), &b->calls[4]);
    assert_int_equal(status, HMQ_ENOTOPIC);
    assert_null(answer(b, 5, "BUSY", 0, &status));
    core_expire(&b->core, 100, true, &dead);
    expect_dead(&dead, &b->calls[5], HMQ_EUNKNOWN);
}

static void test_busy_is_tried_again(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    enum hmq_status status;
    submit_repeatable(b, 0, 10000);
    write_all(b);
    expect_ids(b, (int[]){100, 0});
    assert_null(answer(b, 0, "BUSY", 0, &status));
    assert_int_equal(b->calls[0].state, CALL_PAUSED);
    int64_t again_ms = core_next_expiry(&b->core);
    assert_true(again_ms > 0 && again_ms < 100);
    core_expire(&b->core, again_ms, true, &dead);
    write_all(b);
    expect_ids(b, (int[]){100, 0});
    assert_ptr_equal(answer(b, 0, NULL, again_ms, &status), &b->calls[0]);
    assert_int_equal(status, HMQ_OK);
}

static void test_busy_until_the_deadline(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    enum hmq_status status;
    int64_t now_ms = 0;
    submit_repeatable(b, 0, 500);
    write_all(b);
    while (!answer(b, 0, "BUSY", now_ms, &status)) {
        now_ms = core_next_expiry(&b->core);
        assert_true(now_ms < 500);
        core_expire(&b->core, now_ms, true, &dead);
        write_all(b);
    }
    assert_int_equal(status, HMQ_EBUSY); /* the next pause would pass the deadline */
    submit(b, 1, 500);
    write_all(b);
    assert_ptr_equal(answer(b, 1, "BUSY", 0, &status), &b->calls[1]); /* it is not repeatable, so it ends at once */
}

static void test_close(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    enum hmq_status status;
    submit_repeatable(b, 0, 1000);
    submit_repeatable(b, 1, 1000);
    write_all(b);
    assert_null(answer(b, 1, "BUSY", 0, &status));
    submit(b, 2, 1000);
    core_close(&b->core, &dead);
    assert_int_equal(b->calls[0].status, HMQ_EUNKNOWN);
    assert_int_equal(b->calls[1].status, HMQ_EBUSY);
    assert_int_equal(b->calls[2].status, HMQ_ECLOSED);
    assert_int_equal(b->core.pending, 0);
    assert_int_equal(b->core.queued_bytes, 0);
}

static void test_cancel_owned(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    int me;
    for (size_t i = 0; i < 4; i++)
        prepare(b, i, 1000)->owner = i % 2 ? &me : NULL;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(core_submit(&b->core, &b->calls[i], 0, 0), HMQ_OK);
    write_bytes(b, b->calls[0].frame.len + b->calls[1].frame.len);
    core_cancel_owned(&b->core, &me, &dead);
    expect_dead(&dead, &b->calls[1], HMQ_EUNKNOWN);
    expect_dead(&dead, &b->calls[3], HMQ_ECLOSED);
    assert_int_equal(b->core.pending, 2);
}

static void test_notes(void **state)
{
    struct bench *b = *state;
    struct call_list dead = TAILQ_HEAD_INITIALIZER(dead);
    struct call *note = &b->calls[0];
    call_init(note, 0, done);
    note->kind = CALL_NOTE;
    rpc_put_result(&note->frame, 7);
    rpc_put_str(&note->frame, SLICE_LIT("commit"));
    assert_int_equal(core_submit(&b->core, note, 0, 0), HMQ_OK);
    assert_int_equal(b->core.pending, 0);
    core_lost(&b->core, &dead); /* on another connection the same id would belong to another check */
    expect_dead(&dead, note, HMQ_EDISCONNECTED);
    assert_int_equal(core_next_flush(&b->core), CORE_NEVER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_answers_in_any_order),
        TEST(test_byte_by_byte),
        TEST(test_lingers),
        TEST(test_bounds),
        TEST(test_a_large_call_passes_alone),
        TEST(test_deadlines),
        TEST(test_deadline_in_the_middle_of_a_frame),
        TEST(test_cancel),
        TEST(test_lost_connection),
        TEST(test_lost_and_never_back),
        TEST(test_a_refusal_after_repeating_proves_nothing),
        TEST(test_busy_is_tried_again),
        TEST(test_busy_until_the_deadline),
        TEST(test_close),
        TEST(test_cancel_owned),
        TEST(test_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
