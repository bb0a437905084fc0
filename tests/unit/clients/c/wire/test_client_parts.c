/*
 * test_client_parts.c: tests small parts of the client: replies, messages, workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "clients/c/wire/message.h"
#include "clients/c/client/workers.h"

/* Makes the hmq_reply of a broker's reply with this value. */
static struct hmq_reply *reply_of(struct buf *bytes)
{
    struct rpc_reader *reader = rpc_reader_new(1 << 20);
    struct rpc_frame frame;
    size_t used;
    char err[128];
    assert_non_null(reader);
    assert_int_equal(rpc_reader_next(reader, buf_slice(bytes), &frame, &used, err, sizeof err),
                     ST_OK);
    struct hmq_reply *reply = reply_copy(frame.result);
    assert_non_null(reply);
    rpc_reader_free(reader);
    buf_free(bytes); /* the copy does not need it any more */
    return reply;
}

static void test_replies(void **state)
{
    struct buf b;
    size_t len;
    (void)state;
    buf_init(&b, 0);
    rpc_put_result(&b, 1);
    rpc_put_map(&b, 5);
    rpc_put_str(&b, SLICE_LIT("n"));
    rpc_put_int(&b, -7);
    rpc_put_str(&b, SLICE_LIT("digits"));
    rpc_put_str(&b, SLICE_LIT("9223372036854775807"));
    rpc_put_str(&b, SLICE_LIT("bin"));
    rpc_put_bin(&b, SLICE_LIT("a\0b"));
    rpc_put_str(&b, SLICE_LIT("list"));
    rpc_put_list(&b, 4);
    rpc_put_nil(&b);
    rpc_put_bool(&b, true);
    rpc_put_double(&b, 2.5);
    rpc_put_list(&b, 0);
    rpc_put_str(&b, SLICE_LIT("empty"));
    rpc_put_str(&b, SLICE_LIT(""));
    hmq_reply *r = reply_of(&b);
    assert_int_equal(hmq_reply_type(r), HMQ_MAP);
    assert_int_equal(hmq_reply_len(r), 5);
    assert_int_equal(hmq_reply_int(hmq_reply_get(r, "n"), 0), -7);
    assert_true(hmq_reply_int(hmq_reply_get(r, "digits"), 0) == INT64_MAX);
    assert_memory_equal(hmq_reply_bytes(hmq_reply_get(r, "bin"), &len), "a\0b", 4);
    assert_int_equal(len, 3);
    assert_string_equal(hmq_reply_text(hmq_reply_key(r, 3)), "list");
    const hmq_reply *list = hmq_reply_at(r, 3);
    assert_int_equal(hmq_reply_len(list), 4);
    assert_int_equal(hmq_reply_type(hmq_reply_at(list, 0)), HMQ_NIL);
    assert_int_equal(hmq_reply_int(hmq_reply_at(list, 1), 0), 1);
    assert_true(hmq_reply_double(hmq_reply_at(list, 2), 0) == 2.5);
    assert_int_equal(hmq_reply_len(hmq_reply_at(list, 3)), 0);
    assert_null(hmq_reply_at(list, 4));
    assert_string_equal(hmq_reply_text(hmq_reply_get(r, "empty")), "");
    assert_null(hmq_reply_get(r, "nothing"));
    assert_int_equal(hmq_reply_int(NULL, 5), 5);
    assert_null(hmq_reply_text(list));
    hmq_reply_free(r);
}

static void put_message(struct buf *b, const char *id, bool with_body)
{
    rpc_put_map(b, with_body ? 4 : 3);
    rpc_put_str(b, SLICE_LIT("id"));
    rpc_put_str(b, slice_str(id));
    if (with_body) {
        rpc_put_str(b, SLICE_LIT("body"));
        rpc_put_bin(b, SLICE_LIT("hello"));
    }
    rpc_put_str(b, SLICE_LIT("attributes"));
    rpc_put_map(b, 3);
    rpc_put_str(b, SLICE_LIT("queue"));
    rpc_put_int(b, 2);
    rpc_put_str(b, SLICE_LIT("attempt"));
    rpc_put_int(b, 3);
    rpc_put_str(b, SLICE_LIT("key"));
    rpc_put_list(b, 1);
    rpc_put_str(b, SLICE_LIT("k1"));
    rpc_put_str(b, SLICE_LIT("properties"));
    rpc_put_map(b, 1);
    rpc_put_str(b, SLICE_LIT("trace"));
    rpc_put_str(b, SLICE_LIT("yes"));
}

static void test_messages(void **state)
{
    struct hmq_batch *batch = NULL;
    struct buf b;
    size_t len;
    (void)state;
    buf_init(&b, 0);
    rpc_put_result(&b, 1);
    rpc_put_list(&b, 1);
    put_message(&b, "orders:2:17#3", true);
    assert_int_equal(batch_of(reply_of(&b), &batch), HMQ_OK);
    assert_int_equal(hmq_batch_count(batch), 1);
    const hmq_message *m = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_id(m), "orders:2:17");
    assert_string_equal(hmq_message_receipt(m), "orders:2:17#3");
    assert_string_equal(hmq_message_body(m, &len), "hello");
    assert_int_equal(len, 5);
    assert_int_equal(hmq_message_queue(m), 2);
    assert_int_equal(hmq_message_attempt(m), 3);
    assert_string_equal(hmq_message_key(m, 0), "k1");
    assert_null(hmq_message_key(m, 1));
    assert_string_equal(hmq_message_prop(m, "trace"), "yes");
    assert_null(hmq_message_tag(m));
    assert_null(hmq_batch_at(batch, 1));
    assert_true(message_bytes(m) > 5);
    hmq_batch_free(batch);
}

static void test_no_messages(void **state)
{
    struct hmq_batch *batch = NULL;
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    rpc_put_result(&b, 1);
    rpc_put_list(&b, 1);
    put_message(&b, "orders:2:17#3", false);
    hmq_reply *r = reply_of(&b);
    assert_int_equal(batch_of(r, &batch), HMQ_EPROTO);
    hmq_reply_free(r);
    rpc_put_result(&b, 1);
    rpc_put_int(&b, 1);
    r = reply_of(&b);
    assert_int_equal(batch_of(r, &batch), HMQ_EPROTO);
    hmq_reply_free(r);
    assert_null(batch);
}

/* ---- workers ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned running, ran;
    bool open;
};

static void wait_at_gate(struct task *task, void *arg)
{
    struct gate *g = arg;
    (void)task;
    pthread_mutex_lock(&g->lock);
    g->running++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    g->ran++;
    pthread_mutex_unlock(&g->lock);
}

static void test_workers(void **state)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false};
    struct task tasks[6];
    struct task_list left;
    struct workers w;
    (void)state;
    assert_true(workers_start(&w, 2, 3, wait_at_gate, NULL, &g));
    for (size_t i = 0; i < 2; i++)
        assert_true(workers_push(&w, &tasks[i]));
    pthread_mutex_lock(&g.lock);
    while (g.running < 2)
        pthread_cond_wait(&g.changed, &g.lock);
    pthread_mutex_unlock(&g.lock);
    for (size_t i = 2; i < 5; i++)
        assert_true(workers_push(&w, &tasks[i]));
    assert_false(workers_push(&w, &tasks[5])); /* three tasks are waiting */
    workers_halt(&w);
    assert_false(workers_push(&w, &tasks[5]));
    assert_false(workers_gone(&w));
    pthread_mutex_lock(&g.lock);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    workers_stop(&w, &left);
    assert_int_equal(g.ran, 2);
    for (size_t i = 2; i < 5; i++) {
        assert_ptr_equal(TAILQ_FIRST(&left), &tasks[i]);
        TAILQ_REMOVE(&left, &tasks[i], link);
    }
    assert_true(TAILQ_EMPTY(&left));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_no_messages),
        cmocka_unit_test(test_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
