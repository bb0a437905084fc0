/* test_batch.c: tests which batches of clients are accepted, which are refused and with which text, and that damage of
 * any byte is either found or harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/text.h"
#include "protocol/record/batch.h"
#include "tests/lib/batch.h"
#include "tests/lib/prng.h"

static char err[512];

/* Checks a batch in a block of its exact size, so that the address sanitizer finds a read past the end. */
static enum status check(struct slice batch, struct batch_facts *facts)
{
    uint8_t *copy = malloc(batch.len ? batch.len : 1);
    assert_non_null(copy);
    if (batch.len)
        memcpy(copy, batch.data, batch.len);
    err[0] = '\0';
    enum status s = batch_check(slice_of(copy, batch.len), facts, err, sizeof err);
    free(copy);
    return s;
}

static void seal(struct slice batch, uint32_t sum)
{
    uint8_t *at = (uint8_t *)(uintptr_t)batch.data;
    for (unsigned i = 0; i < 4; i++)
        at[4 + i] = (uint8_t)(sum >> (8 * i));
}

static void refused_as(const struct message *m, enum status s, const char *words)
{
    struct batch b;
    struct batch_facts facts;
    batch_init(&b);
    batch_add_body(&b, "first");
    batch_add(&b, *m);
    struct slice batch = batch_end(&b);
    assert_int_equal(check(batch, &facts), s);
    if (!strstr(err, words) || !strstr(err, "message 1 of the batch: "))
        fail_msg("'%s' lacks '%s'", err, words);
    batch_free(&b);
}

static void taken_with_its_facts(void **state)
{
    (void)state;
    struct batch b;
    struct batch_facts facts = {0};
    batch_init(&b);
    batch_add_body(&b, "");
    batch_add_body(&b, "hello");
    batch_add(&b, (struct message){.fields = MSG_KEY | MSG_TAG | MSG_ORDER | MSG_TTL | MSG_PROPS,
                                   .born_ms = -250,
                                   .expires_ms = DURATION_MS_MAX,
                                   .n_keys = 1,
                                   .n_props = 1,
                                   .keys = {SLICE_LIT("k")},
                                   .tag = SLICE_LIT("eu"),
                                   .order = SLICE_LIT("o"),
                                   .props = SLICE_LIT("\001n\000"),
                                   .body = SLICE_LIT("abc")});
    struct slice batch = batch_end(&b);
    assert_int_equal(check(batch, &facts), ST_OK);
    assert_int_equal(facts.count, 3);
    assert_int_equal(facts.body_bytes, 8);
    assert_int_equal(facts.body_most, 5);
    assert_int_equal(facts.fields, MSG_KEY | MSG_TAG | MSG_ORDER | MSG_TTL | MSG_PROPS);
    seal(batch, 0); /* not given */
    assert_int_equal(check(batch, &facts), ST_OK);
    seal(batch, record_checksum(batch) ^ 1);
    assert_int_equal(check(batch, &facts), ST_ERR);
    assert_non_null(strstr(err, "checksum"));
    batch_free(&b);
}

static void what_is_the_brokers_is_refused(void **state)
{
    (void)state;
    static const size_t places[] = {1, 2, 16, 24, 32, 40};
    struct batch b;
    struct batch_facts facts;
    batch_init(&b);
    batch_add_body(&b, "x");
    struct slice batch = batch_end(&b);
    seal(batch, 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        uint8_t *at = (uint8_t *)(uintptr_t)batch.data + places[i];
        *at = 1;
        assert_int_equal(check(batch, &facts), ST_ERR);
        *at = 0;
    }
    assert_int_equal(check(batch, &facts), ST_OK);
    batch_free(&b);
    static const uint32_t fields[] = {MSG_TXN, MSG_GROUP, MSG_REASON, MSG_ORIGIN};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        refused_as(&(struct message){.fields = fields[i]}, ST_ERR, "a field that only the broker sets");
    refused_as(&(struct message){.fields = MSG_ATTEMPTS, .attempts = 1}, ST_ERR, "a field that only the broker sets");
}

static void bounds_are_those_of_send(void **state)
{
    (void)state;
    static uint8_t room[PROPS_BYTES_MAX + 16];
    memset(room, 'a', sizeof room);
    struct slice longer = slice_of(room, KEY_BYTES_MAX + 1);
    refused_as(&(struct message){.fields = MSG_KEY, .n_keys = 1, .keys = {longer}}, ST_TOOBIG, "KEY");
    refused_as(&(struct message){.fields = MSG_KEY, .n_keys = 1}, ST_ERR, "KEY is empty");
    refused_as(&(struct message){.fields = MSG_ORDER, .order = longer}, ST_TOOBIG, "ORDER");
    refused_as(&(struct message){.fields = MSG_TAG, .tag = SLICE_LIT("a b")}, ST_BADNAME, "tag");
    refused_as(&(struct message){.fields = MSG_TAG, .tag = SLICE_LIT("%a")}, ST_BADNAME, "tag");
    refused_as(&(struct message){.fields = MSG_TTL, .expires_ms = DURATION_MS_MAX + 1}, ST_ERR, "ttl");
    refused_as(&(struct message){.born_ms = 1}, ST_ERR, "born");
    refused_as(&(struct message){.born_ms = -DURATION_MS_MAX - 1}, ST_ERR, "born");
    refused_as(&(struct message){.born_ms = INT64_MIN}, ST_ERR, "born");
    struct buf props;
    buf_init(&props, 0);
    buf_put_sized(&props, SLICE_LIT("n"));
    buf_put_sized(&props, slice_of(room, PROPS_BYTES_MAX));
    struct message m = {.fields = MSG_PROPS, .n_props = 1, .props = buf_slice(&props)};
    refused_as(&m, ST_TOOBIG, "properties");
    buf_free(&props);
    refused_as(&(struct message){.fields = MSG_PROPS, .n_props = 1, .props = SLICE_LIT("\000\000")},
               ST_ERR, "name is empty");
}

static void numbers_ascend_from_zero(void **state)
{
    (void)state;
    struct batch b;
    struct batch_facts facts;
    batch_init(&b);
    b.n = 1; /* as if the first message had been left out */
    batch_add_body(&b, "x");
    b.n = 1;
    assert_int_equal(check(batch_end(&b), &facts), ST_ERR);
    assert_string_equal(err, "message 0 of the batch: its seq is not its number in the batch");
    batch_free(&b);
}

static void counts_and_bytes_have_bounds(void **state)
{
    (void)state;
    struct batch b;
    struct batch_facts facts;
    batch_init(&b);
    for (int i = 0; i < BATCH_COUNT_MAX; i++)
        batch_add_body(&b, "");
    struct buf starts = b.starts; /* once as it is, once with one more */
    size_t len = b.record.len;
    assert_int_equal(check(batch_end(&b), &facts), ST_OK);
    assert_int_equal(facts.count, BATCH_COUNT_MAX);
    b.record.len = len;
    b.starts = starts;
    batch_add_body(&b, "");
    assert_int_equal(check(batch_end(&b), &facts), ST_TOOBIG);
    batch_free(&b);

    uint8_t *big = calloc(1, BATCH_BYTES_MAX);
    assert_non_null(big);
    size_t most = (size_t)BATCH_BYTES_MAX - RECORD_HEADER_BYTES - 4 - 3 - 4;
    for (size_t over = 0; over < 2; over++) {
        batch_init(&b);
        batch_add(&b, (struct message){.body = slice_of(big, most + over)});
        assert_int_equal(check(batch_end(&b), &facts), over ? ST_TOOBIG : ST_OK);
        batch_free(&b);
    }
    free(big);
}

/* A batch that is cut anywhere, or with any byte changed, is refused or still consistent. */
static void damage_is_found_or_harmless(void **state)
{
    (void)state;
    struct prng p = prng_start();
    struct batch b;
    struct batch_facts facts;
    batch_init(&b);
    batch_add_body(&b, "hello");
    batch_add(&b, (struct message){.fields = MSG_KEY | MSG_TTL,
                                   .expires_ms = 1000,
                                   .n_keys = 2,
                                   .keys = {SLICE_LIT("a"), SLICE_LIT("b")},
                                   .body = SLICE_LIT("x")});
    batch_add_body(&b, "world");
    struct slice batch = batch_end(&b);
    seal(batch, 0);
    for (size_t n = 0; n < batch.len; n++)
        assert_int_not_equal(check(slice_of(batch.data, n), &facts), ST_OK);
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch.data;
    for (int round = 0; round < 20000; round++) {
        size_t at = prng_below(&p, batch.len);
        uint8_t was = bytes[at];
        bytes[at] = (uint8_t)prng_below(&p, 256);
        if (at < 4 || at > 7)
            seal(batch, 0);
        if (check(batch, &facts) == ST_OK) {
            struct record_header h;
            assert_int_equal(record_header_read(batch, &h), ST_OK);
            for (uint32_t i = 0; i < h.count; i++) {
                struct message m;
                assert_int_equal(record_message(batch, &h, i, &m), ST_OK);
                assert_int_equal(m.seq, i);
            }
        }
        bytes[at] = was;
    }
    batch_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_with_its_facts),
        cmocka_unit_test(what_is_the_brokers_is_refused),
        cmocka_unit_test(bounds_are_those_of_send),
        cmocka_unit_test(numbers_ascend_from_zero),
        cmocka_unit_test(counts_and_bytes_have_bounds),
        cmocka_unit_test(damage_is_found_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
