/*
 * test_client_parcel.c: tests the frames of messages: it parses them as commands, as the broker does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/roles/parcel.h"

struct post {
    struct sender sender;
    struct call call;
    struct command_space space;
    struct command cmd;
    struct rpc_reader *reader;
};

static int start(void **state)
{
    struct post *p = calloc(1, sizeof *p);
    hmq_options *o = hmq_options_new();
    assert_true(p && o);
    assert_int_equal(sender_init(&p->sender, NULL, o, NULL), HMQ_OK);
    hmq_options_free(o);
    command_space_init(&p->space);
    p->reader = rpc_reader_new(1 << 20);
    call_init(&p->call, 5, NULL);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct post *p = *state;
    call_fini(&p->call);
    rpc_reader_free(p->reader);
    command_space_free(&p->space);
    sender_fini(&p->sender);
    free(p);
    return 0;
}

/* Encodes the frame and parses it into p->cmd. */
static void post(struct post *p, const struct parcel *parcel)
{
    struct rpc_frame frame;
    size_t used;
    char err[256] = "";
    call_fini(&p->call);
    call_init(&p->call, 5, NULL);
    assert_int_equal(parcel_encode(&p->sender, parcel, &p->call, NULL), HMQ_OK);
    assert_int_equal(
        rpc_reader_next(p->reader, buf_slice(&p->call.frame), &frame, &used, err, sizeof err),
        ST_OK);
    assert_int_equal(used, p->call.frame.len);
    assert_int_equal(rpc_command(&p->space, &frame, &p->cmd, err, sizeof err), ST_OK);
}

static void expect(struct post *p, enum option_id id, const char *value)
{
    const struct option *o = command_option(&p->cmd, id);
    assert_non_null(o);
    assert_true(slice_equal(o->v, slice_str(value)));
}

static void test_plain(void **state)
{
    struct post *p = *state;
    struct parcel parcel = {.method = "send", .topic = "t", .body = "a\0b", .len = 3};
    post(p, &parcel);
    assert_int_equal(p->cmd.info->id, CMD_SEND);
    assert_true(slice_equal(p->cmd.pos[0], SLICE_LIT("t")));
    assert_true(slice_equal(p->cmd.pos[1], SLICE_LIT("a\0b")));
    assert_true(p->cmd.has == OPT(DEDUP));
    assert_int_equal(p->call.repeat, CALL_AGAIN_BUSY);
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)command_option(&p->cmd, OPT_ID_DEDUP)->v.len,
             (const char *)command_option(&p->cmd, OPT_ID_DEDUP)->v.data);
    post(p, &parcel);
    assert_false(slice_equal(command_option(&p->cmd, OPT_ID_DEDUP)->v, slice_str(first)));
    assert_memory_equal(command_option(&p->cmd, OPT_ID_DEDUP)->v.data, first, 17); /* prefix- */
}

static void test_without_dedup(void **state)
{
    struct post *p = *state;
    struct parcel parcel = {.method = "send", .topic = "t"};
    p->sender.dedup = false;
    post(p, &parcel);
    assert_true(p->cmd.has == 0);
    assert_int_equal(p->call.repeat, CALL_ONCE);
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.dedup = "mine";
    parcel.options = &o;
    post(p, &parcel);
    expect(p, OPT_ID_DEDUP, "mine");
    assert_int_not_equal(p->call.repeat, CALL_ONCE);
}

static void test_every_option(void **state)
{
    struct post *p = *state;
    const char *keys[] = {"k2", "k3"};
    hmq_prop props[] = {{"a", "1"}, {"b", "2"}};
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.key = "k1";
    o.keys = keys;
    o.n_keys = 2;
    o.tag = "red";
    o.order = "account-7";
    o.ttl_ms = 60000;
    o.props = props;
    o.n_props = 2;
    o.checkin_ms = 5; /* not for a plain message */
    struct parcel parcel = {.method = "send", .topic = "t", .body = "x", .len = 1, .options = &o};
    post(p, &parcel);
    assert_true(p->cmd.has ==
                (OPT(KEY) | OPT(TAG) | OPT(ORDER) | OPT(TTL) | OPT(PROP) | OPT(DEDUP)));
    assert_int_equal(p->cmd.n_opt, 3 + 2 + 4);
    expect(p, OPT_ID_TAG, "red");
    assert_true(command_option(&p->cmd, OPT_ID_TTL)->n == 60000);
    assert_int_not_equal(p->call.repeat, CALL_ONCE);
    assert_int_not_equal(p->call.repeat, CALL_AGAIN_BUSY); /* others of the same order could pass it */
    o.order = NULL;
    o.queue = 0;
    post(p, &parcel);
    assert_true(command_option(&p->cmd, OPT_ID_QUEUE)->n == 0);
    assert_int_not_equal(p->call.repeat, CALL_AGAIN_BUSY);
}

static void test_halfs(void **state)
{
    struct post *p = *state;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct parcel parcel = {
        .method = "half", .pgroup = "pg", .topic = "t", .body = "x", .len = 1, .options = &o};
    p->sender.checkin_ms = 700;
    post(p, &parcel);
    assert_int_equal(p->cmd.info->id, CMD_HALF);
    assert_true(p->cmd.has == (OPT(DEDUP) | OPT(CHECKIN)));
    assert_true(command_option(&p->cmd, OPT_ID_CHECKIN)->n == 700);
    o.checkin_ms = 300;
    post(p, &parcel);
    assert_true(command_option(&p->cmd, OPT_ID_CHECKIN)->n == 300);
    parcel.txid = 4294967297;
    post(p, &parcel);
    expect(p, OPT_ID_TXN, "4294967297");
    assert_false(command_has(&p->cmd, OPT(CHECKIN)));
}

static void refuse(struct post *p, const struct parcel *parcel, enum hmq_status status)
{
    hmq_error err;
    call_fini(&p->call);
    call_init(&p->call, 5, NULL);
    assert_int_equal(parcel_encode(&p->sender, parcel, &p->call, &err), status);
    assert_int_equal(err.code, status);
    assert_true(err.text[0] != '\0');
}

static void test_refused(void **state)
{
    struct post *p = *state;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    struct parcel parcel = {.method = "send", .body = "x", .len = 1, .options = &o};
    refuse(p, &parcel, HMQ_EINVAL); /* no topic */
    parcel.topic = "t";
    parcel.len = SIZE_MAX;
    refuse(p, &parcel, HMQ_ETOOBIG);
    parcel.len = 1;
    parcel.body = NULL;
    refuse(p, &parcel, HMQ_EINVAL);
    parcel.body = "x";
    o.n_keys = 1;
    refuse(p, &parcel, HMQ_EINVAL);
    o.n_keys = 0;
    hmq_prop prop = {"name", NULL};
    o.props = &prop;
    o.n_props = 1;
    refuse(p, &parcel, HMQ_EINVAL);
    memset(&o, 0, sizeof o); /* not initialized with HMQ_SEND_OPTIONS */
    refuse(p, &parcel, HMQ_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_plain), TEST(test_without_dedup), TEST(test_every_option),
        TEST(test_halfs), TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
