/*
 * test_client_options.c: tests options by name, in URIs and from the environment, lists of servers, and statuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "clients/c/wire/endpoint.h"
#include "clients/c/wire/options.h"

static int start(void **state)
{
    *state = hmq_options_new();
    return *state ? 0 : -1;
}

static int stop(void **state)
{
    hmq_options_free(*state);
    return 0;
}

static void expect(hmq_options *o, const char *name, const char *value)
{
    char got[256];
    assert_int_equal(hmq_options_get(o, name, got, sizeof got, NULL), HMQ_OK);
    assert_string_equal(got, value);
}

static void refuse(hmq_options *o, const char *name, const char *value, const char *word)
{
    hmq_error err;
    assert_int_equal(hmq_options_set(o, name, value, &err), HMQ_EINVAL);
    assert_int_equal(err.code, HMQ_EINVAL);
    assert_non_null(strstr(err.text, word));
}

static void test_every_option_has_its_default(void **state)
{
    const char *name, *initial, *help;
    size_t n = 0;
    while (hmq_options_describe(n, &name, &initial, &help)) {
        expect(*state, name, initial);
        assert_int_equal(hmq_options_set(*state, name, initial, NULL), HMQ_OK);
        assert_true(strlen(help) > 10);
        n++;
    }
    assert_int_equal(n, CHOICE_COUNT);
}

static void test_set(void **state)
{
    hmq_error err;
    assert_int_equal(hmq_options_set(*state, "linger_ms", "7", &err), HMQ_OK);
    assert_int_equal(err.code, HMQ_OK);
    expect(*state, "linger_ms", "7");
    assert_int_equal(hmq_options_set(*state, "dedup", "no", &err), HMQ_OK);
    expect(*state, "dedup", "no");
    refuse(*state, "linger_ms", "-1", "linger_ms");
    refuse(*state, "linger_ms", "7s", "linger_ms");
    refuse(*state, "linger_ms", "", "linger_ms");
    refuse(*state, "linger_ms", "99999999999999999999", "linger_ms");
    refuse(*state, "dedup", "maybe", "dedup");
    refuse(*state, "lingr", "7", "lingr");
    refuse(*state, "linger_ms", NULL, "linger_ms");
    expect(*state, "linger_ms", "7");
}

static void test_uri(void **state)
{
    hmq_error err;
    const char *uri = "hmq://ann%40work:p%3Aq@h1:1234,[::1]:99,h2?linger_ms=3&dedup=no";
    assert_int_equal(hmq_options_set_uri(*state, uri, &err), HMQ_OK);
    expect(*state, "servers", "h1:1234,[::1]:99,h2");
    expect(*state, "user", "ann@work");
    expect(*state, "password", "p:q");
    expect(*state, "linger_ms", "3");
    expect(*state, "dedup", "no");
    assert_int_equal(hmq_options_set_uri(*state, "hmq://h3/", &err), HMQ_OK);
    expect(*state, "servers", "h3");
}

static void test_bad_uris(void **state)
{
    static const char *const bad[] = {
        "",           "h1:1234",           "http://h1",          "hmq://",
        "hmq://?a=b", "hmq://h?linger_ms", "hmq://h?nothing=1",  "hmq://h/x",
        "hmq://%zz",  "hmq://a%00b",       "hmq://h?linger_ms=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hmq_error err;
        assert_int_equal(hmq_options_set_uri(*state, bad[i], &err), HMQ_EINVAL);
        assert_true(err.text[0] != '\0');
    }
}

static void test_environment(void **state)
{
    unsetenv("HALFMQ_URL");
    assert_int_equal(hmq_options_set_uri(*state, NULL, NULL), HMQ_OK);
    expect(*state, "servers", "127.0.0.1:4253");
    setenv("HALFMQ_URL", "hmq://elsewhere:1", 1);
    assert_int_equal(hmq_options_set_uri(*state, NULL, NULL), HMQ_OK);
    expect(*state, "servers", "elsewhere:1");
    setenv("HALFMQ_URL", "nonsense", 1);
    hmq_client *client = NULL;
    hmq_error err;
    assert_int_equal(hmq_client_open(NULL, &client, &err), HMQ_EINVAL);
    assert_int_equal(hmq_client_new(NULL, &client, &err), HMQ_EINVAL);
    assert_null(client);
    unsetenv("HALFMQ_URL");
}

static void test_servers(void **state)
{
    struct endpoints e;
    (void)state;
    assert_int_equal(endpoints_parse("a,b:5,[::1],[fe80::1]:6", &e, NULL), HMQ_OK);
    const char *want[][2] = {{"a", "4253"}, {"b", "5"}, {"::1", "4253"}, {"fe80::1", "6"}};
    assert_int_equal(e.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(e.list[i].host, want[i][0]);
        assert_string_equal(e.list[i].port, want[i][1]);
    }
    endpoints_free(&e);
    static const char *const bad[] = {"",        "a,",  ",a",   "a:",     "a:0",
                                      "a:65536", "a:x", "[::1", "[::1]x", "[]:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hmq_error err;
        assert_int_equal(endpoints_parse(bad[i], &e, &err), HMQ_EINVAL);
        assert_non_null(strstr(err.text, "servers"));
    }
}

static void test_statuses(void **state)
{
    (void)state;
    for (int i = 0; i <= HMQ_EDAMAGED; i++) {
        if (i > HMQ_ESYSTEM && i < HMQ_EREFUSED)
            continue;
        assert_memory_equal(hmq_status_name((enum hmq_status)i), "HMQ_", 4);
        assert_true(strlen(hmq_strerror((enum hmq_status)i)) > 3);
    }
    assert_string_equal(hmq_status_name((enum hmq_status)999), "HMQ_?");
    assert_non_null(hmq_strerror((enum hmq_status) - 1));
    assert_int_equal(error_from_code(SLICE_LIT("TXNCONFLICT")), HMQ_ETXNCONFLICT);
    assert_int_equal(error_from_code(SLICE_LIT("NOTLEADER")), HMQ_ENOTLEADER);
    assert_int_equal(error_from_code(SLICE_LIT("DAMAGED")), HMQ_EDAMAGED);
    assert_int_equal(error_from_code(SLICE_LIT("WHATEVER")), HMQ_EREFUSED);
    assert_true(hmq_status_retryable(HMQ_EBUSY));
    assert_false(hmq_status_retryable(HMQ_EUNKNOWN));
}

/* A URI that is refused has a password in it, perhaps not where it should be. */
static void test_no_error_shows_a_password(void **state)
{
    static const char *const uris[] = {
        "halfmq://ann:sesame@host",        "hmq:/ann:sesame@host",     "hmq://ann:sesame@host/path",
        "hmq://ann:%sesame@host",          "hmq://ann:open?sesame@host", "hmq://ann:open?sesame=1@host",
        "hmq://ann:sesame",                "hmq://ann:sesame@",        "hmq://sesame:ann:4253",
        "hmq://ann:x@host?password=%sesame",
    };
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        hmq_error err;
        struct endpoints e = {0};
        enum hmq_status status = hmq_options_set_uri(*state, uris[i], &err);
        if (status == HMQ_OK)
            status = endpoints_parse(options_text(*state, CHOICE_servers), &e, &err);
        assert_int_equal(status, HMQ_EINVAL);
        if (strstr(err.text, "sesame"))
            fail_msg("%s: %s", uris[i], err.text);
    }
    hmq_error err; /* what is no secret is still told */
    assert_int_equal(hmq_options_set_uri(*state, "hmq://ann:sesame@host?linger=1", &err), HMQ_EINVAL);
    assert_non_null(strstr(err.text, "'linger'"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_every_option_has_its_default),
        TEST(test_set),
        TEST(test_uri),
        TEST(test_bad_uris),
        TEST(test_no_error_shows_a_password),
        TEST(test_environment),
        TEST(test_servers),
        TEST(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
