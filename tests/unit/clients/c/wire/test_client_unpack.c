/*
 * test_client_unpack.c: tests how the C client unpacks records into messages, and puts messages into batches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/roles/fit.h"
#include "clients/c/roles/headers.h"
#include "clients/c/wire/unpack.h"
#include "protocol/record/record.h"

struct made {
    struct buf record, starts, props;
};

static void begin(struct made *r)
{
    buf_init(&r->record, 0);
    buf_init(&r->starts, 0);
    buf_init(&r->props, 0);
    record_begin(&r->record);
}

static void end(struct made *r, uint32_t count)
{
    struct record_header h = {
        .count = count, .base = 40, .stored_ms = 1000000, .flags = RECORD_TTL | RECORD_TXN};
    record_end(&r->record, &r->starts, &h);
    assert_false(r->record.failed);
}

static void done(struct made *r)
{
    buf_free(&r->record);
    buf_free(&r->starts);
    buf_free(&r->props);
}

static const struct origin from = {
    .topic = {(const uint8_t *)"orders", 6}, .queue = 2, .attempt = 3, .lease_until_ms = 77};

/* Makes a record of a message with all fields, between two messages without any. */
static void make_rich(struct made *r)
{
    struct message m = {.fields = MSG_PROPS * 2 - 1, .body = SLICE_LIT("a\0b"), .seq = 1};
    begin(r);
    buf_put_sized(&r->props, SLICE_LIT("name"));
    buf_put_sized(&r->props, SLICE_LIT("value"));
    buf_put_sized(&r->props, SLICE_LIT("empty"));
    buf_put_sized(&r->props, SLICE_LIT(""));
    m.n_keys = 2;
    m.keys[0] = SLICE_LIT("k1");
    m.keys[1] = SLICE_LIT("k2");
    m.tag = SLICE_LIT("red");
    m.order = SLICE_LIT("account-7");
    m.priority = 9;
    m.expires_ms = 1060000;
    m.txid = UINT64_C(1) << 32;
    m.group = SLICE_LIT("mail");
    m.reason = SLICE_LIT("full");
    m.origin = SLICE_LIT("t:0:8");
    m.attempts = 16;
    m.n_props = 2;
    m.props = buf_slice(&r->props);
    m.born_ms = 999000;
    struct message plain = {.body = SLICE_LIT("hello"), .born_ms = 1000000};
    record_add(&r->record, &r->starts, &plain, 1000000);
    record_add(&r->record, &r->starts, &m, 1000000);
    plain.body = SLICE_LIT("");
    record_add(&r->record, &r->starts, &plain, 1000000);
    end(r, 3);
}

static void check_rich(const hmq_message *m)
{
    size_t len;
    assert_memory_equal(hmq_message_body(m, &len), "a\0b", 4); /* the body is followed by a NUL */
    assert_int_equal(len, 3);
    assert_string_equal(hmq_message_id(m), "orders:2:41");
    assert_string_equal(hmq_message_receipt(m), "orders:2:41#3");
    assert_string_equal(hmq_message_topic(m), "orders");
    assert_string_equal(hmq_message_key(m, 0), "k1");
    assert_string_equal(hmq_message_key(m, 1), "k2");
    assert_null(hmq_message_key(m, 2));
    assert_string_equal(hmq_message_tag(m), "red");
    assert_string_equal(hmq_message_order(m), "account-7");
    assert_string_equal(hmq_message_prop(m, "name"), "value");
    assert_string_equal(hmq_message_prop(m, "empty"), "");
    assert_null(hmq_message_prop(m, "other"));
    assert_int_equal(hmq_message_queue(m), 2);
    assert_int_equal(hmq_message_offset(m), 41);
    assert_int_equal(hmq_message_attempt(m), 3);
    assert_int_equal(hmq_message_stored_ms(m), 1000000);
    assert_int_equal(hmq_message_lease_until_ms(m), 77);
}

static void check_attributes(const hmq_reply *a)
{
    assert_int_equal(hmq_reply_len(a), 17);
    assert_string_equal(hmq_reply_text(hmq_reply_get(a, "topic")), "orders");
    assert_int_equal(hmq_reply_int(hmq_reply_get(a, "born"), 0), 999000);
    assert_int_equal(hmq_reply_int(hmq_reply_get(a, "expires"), 0), 1060000);
    assert_int_equal(hmq_reply_int(hmq_reply_get(a, "priority"), 0), 9);
    assert_string_equal(hmq_reply_text(hmq_reply_get(a, "txn")), "4294967296");
    assert_int_equal(hmq_reply_len(hmq_reply_get(a, "key")), 2);
    assert_string_equal(hmq_reply_text(hmq_reply_get(a, "group")), "mail");
    assert_string_equal(hmq_reply_text(hmq_reply_get(a, "reason")), "full");
    assert_string_equal(hmq_reply_text(hmq_reply_get(a, "origin")), "t:0:8");
    assert_int_equal(hmq_reply_int(hmq_reply_get(a, "attempts"), 0), 16);
}

static void test_everything(void **state)
{
    (void)state;
    struct made r;
    struct hmq_batch *batch = NULL;
    size_t len;
    make_rich(&r);
    assert_int_equal(unpack_record(buf_slice(&r.record), &from, &batch), HMQ_OK);
    memset(r.record.data, 0xee, r.record.len); /* the messages do not need it any more */
    assert_int_equal(hmq_batch_count(batch), 3);
    check_rich(hmq_batch_at(batch, 1));
    check_attributes(hmq_message_attributes(hmq_batch_at(batch, 1)));
    const hmq_message *plain = hmq_batch_at(batch, 0);
    assert_string_equal(hmq_message_body(plain, &len), "hello");
    assert_int_equal(len, 5);
    assert_null(hmq_message_tag(plain));
    assert_int_equal(hmq_reply_len(hmq_message_attributes(plain)), 7);
    assert_string_equal(hmq_message_body(hmq_batch_at(batch, 2), &len), "");
    assert_int_equal(len, 0);
    hmq_batch_free(batch);
    done(&r);
}

/* The same without a copy: the messages' texts are in the record itself. */
static void test_everything_in_place(void **state)
{
    (void)state;
    struct made r;
    struct hmq_batch *batch = NULL;
    size_t len;
    char topic[] = "orders";
    struct origin own = from;
    own.topic = slice_str(topic);
    make_rich(&r);
    assert_int_equal(unpack_in_place(buf_slice(&r.record), &own, &batch), HMQ_OK);
    assert_int_equal(hmq_batch_count(batch), 3);
    check_rich(hmq_batch_at(batch, 1));
    check_attributes(hmq_message_attributes(hmq_batch_at(batch, 1)));
    assert_ptr_equal(hmq_message_topic(hmq_batch_at(batch, 1)), topic);
    const uint8_t *body = hmq_message_body(hmq_batch_at(batch, 0), &len);
    assert_string_equal((const char *)body, "hello");
    assert_true(body > r.record.data && body < r.record.data + r.record.len);
    assert_string_equal(hmq_message_body(hmq_batch_at(batch, 2), &len), "");
    hmq_batch_free(batch);
    done(&r);
}

/* Records of messages with a body only are not written to: each byte that has to be a NUL is one. */
static void test_plain_in_place(void **state)
{
    (void)state;
    const char *bodies[] = {"one", "", "three", "\xff\xff", "five"};
    struct made r;
    struct hmq_batch *batch = NULL;
    size_t len;
    begin(&r);
    for (size_t i = 0; i < 5; i++) {
        struct message m = {.body = slice_str(bodies[i]), .born_ms = 999990 + (int64_t)i, .seq = 300 * i};
        record_add(&r.record, &r.starts, &m, 1000000);
    }
    end(&r, 5);
    uint8_t *before = malloc(r.record.len);
    assert_non_null(before);
    memcpy(before, r.record.data, r.record.len);
    assert_int_equal(unpack_in_place(buf_slice(&r.record), &from, &batch), HMQ_OK);
    assert_memory_equal(before, r.record.data, r.record.len);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(hmq_message_body(hmq_batch_at(batch, i), &len), bodies[i]);
        assert_int_equal(len, strlen(bodies[i]));
        assert_int_equal(hmq_message_offset(hmq_batch_at(batch, i)), 40 + i);
        assert_int_equal(hmq_message_born_ms(hmq_batch_at(batch, i)), 999990 + i);
    }
    hmq_batch_free(batch);
    free(before);
    done(&r);
}

/* A message that is not whole, in a record whose checksum is right. */
static void test_malformed(void **state)
{
    (void)state;
    for (int with_tag = 0; with_tag < 2; with_tag++) {
        struct made r;
        struct hmq_batch *batch = NULL;
        begin(&r);
        for (unsigned i = 0; i < 4; i++) {
            struct message m = {.body = SLICE_LIT("hello"), .born_ms = 1000000};
            if (with_tag && i == 1) {
                m.fields = MSG_TAG;
                m.tag = SLICE_LIT("red");
            }
            record_add(&r.record, &r.starts, &m, 1000000);
            if (i == 2)
                r.record.data[r.record.len - 6]++; /* the length of its body */
        }
        end(&r, 4);
        assert_int_equal(unpack_record(buf_slice(&r.record), &from, &batch), HMQ_EPROTO);
        assert_int_equal(unpack_in_place(buf_slice(&r.record), &from, &batch), HMQ_EPROTO);
        done(&r);
    }
}

static void test_bits_choose(void **state)
{
    (void)state;
    struct made r;
    struct hmq_batch *batch = NULL;
    const uint8_t bits[8] = {6};
    const uint8_t none[8] = {0};
    struct origin some = from;
    make_rich(&r);
    some.bits = slice_of(bits, sizeof bits);
    assert_int_equal(unpack_record(buf_slice(&r.record), &some, &batch), HMQ_OK);
    assert_int_equal(hmq_batch_count(batch), 2);
    check_rich(hmq_batch_at(batch, 0));
    assert_int_equal(hmq_message_offset(hmq_batch_at(batch, 1)), 42);
    hmq_batch_free(batch);
    some.bits = slice_of(none, sizeof none);
    assert_int_equal(unpack_record(buf_slice(&r.record), &some, &batch), HMQ_EPROTO);
    done(&r);
}

/* A change of any byte is noticed, as the checksum covers all bytes except its own. */
static void test_damaged(void **state)
{
    (void)state;
    struct made r;
    struct hmq_batch *batch = NULL;
    make_rich(&r);
    for (size_t i = 0; i < r.record.len; i++) {
        r.record.data[i] ^= 0x10;
        assert_int_equal(unpack_record(buf_slice(&r.record), &from, &batch), HMQ_EPROTO);
        r.record.data[i] ^= 0x10;
        assert_int_equal(unpack_record(slice_of(r.record.data, i), &from, &batch), HMQ_EPROTO);
    }
    struct origin far = from;
    far.topic = slice_of(r.record.data, r.record.len);
    assert_int_equal(unpack_record(buf_slice(&r.record), &far, &batch), HMQ_EPROTO);
    done(&r);
}

/* parcel ─► message ─► record ─► parcel. */
static void test_fits_and_comes_back(void **state)
{
    (void)state;
    const char *keys[] = {"k2", "k3"};
    hmq_prop props[] = {{"a", "1"}, {"b", ""}};
    hmq_send_options o = HMQ_SEND_OPTIONS, back;
    struct parcel p = {
        .method = "send", .topic = "orders", .body = "x\0y", .len = 3, .options = &o};
    struct parcel again;
    struct message m;
    struct hmq_batch *batch = NULL;
    struct made r;
    o.key = "k1";
    o.keys = keys;
    o.n_keys = 2;
    o.tag = "red";
    o.order = "account-7";
    o.ttl_ms = 60000;
    o.props = props;
    o.n_props = 2;
    begin(&r);
    assert_true(fit_message(&p, &o, &r.props, &m));
    record_add(&r.record, &r.starts, &m, 0);
    assert_true(r.record.len - RECORD_HEADER_BYTES <= fit_bytes(&m));
    struct record_header h = {.count = 1};
    record_end(&r.record, &r.starts, &h);
    assert_int_equal(unpack_record(buf_slice(&r.record), &from, &batch), HMQ_OK);
    fit_parcel(hmq_batch_at(batch, 0), &back, &again);
    assert_int_equal(again.len, 3);
    assert_memory_equal(again.body, "x\0y", 3);
    assert_string_equal(again.topic, "orders");
    struct headers found = headers_of(&back);
    struct parts_prop prop;
    size_t at = 0;
    assert_int_equal(found.n_keys, 3);
    assert_true(slice_equal(headers_key(&found, 0), SLICE_LIT("k1")));
    assert_true(slice_equal(headers_key(&found, 2), SLICE_LIT("k3")));
    assert_true(slice_equal(found.tag, SLICE_LIT("red")));
    assert_true(slice_equal(found.order, SLICE_LIT("account-7")));
    assert_true(found.ttl_ms == 60000);
    assert_int_equal(found.n_props, 2);
    assert_true(headers_prop(&found, &at, &prop) && headers_prop(&found, &at, &prop));
    assert_true(slice_equal(prop.name, SLICE_LIT("b")));
    assert_int_equal(prop.value.len, 0);
    assert_false(headers_prop(&found, &at, &prop));
    hmq_batch_free(batch);
    done(&r);
}

static bool fits(const hmq_send_options *o, size_t len)
{
    static char body[FIT_BODY_MAX + 1];
    struct parcel p = {.method = "send", .topic = "t", .body = body, .len = len};
    struct message m;
    struct buf props;
    buf_init(&props, 0);
    bool yes = fit_message(&p, o, &props, &m);
    buf_free(&props);
    return yes;
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    static char longer[KEY_BYTES_MAX + 2];
    memset(longer, 'x', KEY_BYTES_MAX + 1);
    const hmq_send_options plain = HMQ_SEND_OPTIONS;
    hmq_prop prop = {longer, "v"};
    const char *keys[KEYS_MAX + 1];
    for (size_t i = 0; i < KEYS_MAX + 1; i++)
        keys[i] = "k";
    assert_true(fits(&plain, FIT_BODY_MAX));
    assert_false(fits(&plain, FIT_BODY_MAX + 1));
#define REFUSED(field, value)       \
    {                               \
        hmq_send_options o = plain; \
        o.field = value;            \
        assert_false(fits(&o, 1));  \
    }
    REFUSED(dedup, "mine")
    REFUSED(queue, 0)
    REFUSED(priority, 0)
    REFUSED(delay_ms, 1)
    REFUSED(at_ms, 1)
    REFUSED(key, longer)
    REFUSED(key, "")
    REFUSED(order, longer)
    REFUSED(order, "")
    REFUSED(tag, "no/slash")
    REFUSED(ttl_ms, -1)
    REFUSED(ttl_ms, DURATION_MS_MAX + 1)
#undef REFUSED
    hmq_send_options o = plain;
    o.keys = keys;
    o.n_keys = KEYS_MAX + 1;
    assert_false(fits(&o, 1));
    o.n_keys = KEYS_MAX;
    assert_true(fits(&o, 1));
    o.props = &prop;
    o.n_props = 1;
    assert_false(fits(&o, 1));
}

/* ---- a message that several threads read ---- */

#define READERS 4
#define ROUNDS 200

struct readers {
    pthread_barrier_t start, end;
    const hmq_message *m;
    _Atomic unsigned wrong;
};

static void *read_it_too(void *arg)
{
    struct readers *readers = arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&readers->start);
        bool right = strcmp(hmq_message_receipt(readers->m), "orders:2:40#3") == 0 &&
                     strcmp(hmq_message_id(readers->m), "orders:2:40") == 0 &&
                     hmq_reply_int(hmq_reply_get(hmq_message_attributes(readers->m), "offset"), 0) == 40;
        atomic_fetch_add(&readers->wrong, !right);
        pthread_barrier_wait(&readers->end);
    }
    return NULL;
}

/* What is made when it is asked for is made once, and whole, though several threads ask at the same time: a handler
 * reads the receipt of its message while the client extends the lease. */
static void test_threads_may_read_a_message_together(void **state)
{
    (void)state;
    struct made r;
    struct readers readers = {.wrong = 0};
    pthread_t threads[READERS];
    make_rich(&r);
    assert_int_equal(pthread_barrier_init(&readers.start, NULL, READERS + 1), 0);
    assert_int_equal(pthread_barrier_init(&readers.end, NULL, READERS + 1), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_it_too, &readers), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct hmq_batch *batch = NULL;
        assert_int_equal(unpack_record(buf_slice(&r.record), &from, &batch), HMQ_OK);
        readers.m = hmq_batch_at(batch, 0);
        pthread_barrier_wait(&readers.start);
        pthread_barrier_wait(&readers.end);
        hmq_batch_free(batch);
    }
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&readers.wrong), 0);
    pthread_barrier_destroy(&readers.start);
    pthread_barrier_destroy(&readers.end);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),        cmocka_unit_test(test_everything_in_place),
        cmocka_unit_test(test_plain_in_place),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bits_choose),
        cmocka_unit_test(test_damaged),           cmocka_unit_test(test_fits_and_comes_back),
        cmocka_unit_test(test_what_does_not_fit), cmocka_unit_test(test_threads_may_read_a_message_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
