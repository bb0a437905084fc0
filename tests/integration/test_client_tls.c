/*
 * test_client_tls.c: libhalfmq over TLS: whom it trusts, its own certificate, URIs, and what it says where something is
 * wrong. That everything else works over TLS, too, is seen by other test_client_* that ctest runs once more with RIG_TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/certs.h"
#include "tests/lib/rig.h"

static struct spawned *broker;

static int start(void **state)
{
    const char *flags[] = {"--tls_cert", certs_path("ca/server.crt"), "--tls_key", certs_path("ca/server.key"), "--tls_ca",
                           certs_path("ca/ca.crt"), NULL};
    (void)state;
    broker = rig_spawn(flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

static hmq_options *options_for(const char *host)
{
    char uri[256];
    hmq_error err;
    hmq_options *o = hmq_options_new();
    assert_non_null(o);
    snprintf(uri, sizeof uri, "hmqs://%s:%u?reconnect_min_ms=1&reconnect_max_ms=10", host, (unsigned)broker->port);
    RIG_CHECK(hmq_options_set_uri(o, uri, &err), &err);
    return o;
}

static void set(hmq_options *o, const char *name, const char *value)
{
    hmq_error err;
    RIG_CHECK(hmq_options_set(o, name, value, &err), &err);
}

/* Takes the options. */
static hmq_client *client_of(hmq_options *o)
{
    hmq_client *client = NULL;
    hmq_error err;
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

static void expect_works(hmq_options *o)
{
    hmq_error err;
    hmq_client *client = client_of(o);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    rig_put(client, "t", "hello");
    hmq_client_free(client);
}

struct failing {
    hmq_client *client;
    const char *why;
};

static bool says_why(void *arg)
{
    struct failing *f = arg;
    hmq_error err;
    hmq_request *ping = hmq_request_new("ping");
    hmq_reply *reply = NULL;
    assert_int_not_equal(hmq_call(f->client, ping, 50, &reply, &err), HMQ_OK);
    hmq_request_free(ping);
    return strstr(err.text, f->why) != NULL;
}

/* It does not connect, or not for long, and says why. */
static void expect_fails(hmq_options *o, const char *why)
{
    struct failing f = {client_of(o), why};
    rig_eventually(says_why, &f, why);
    hmq_client_free(f.client);
}

static void test_hmqs(void **state)
{
    hmq_options *o = options_for("localhost");
    char value[16];
    hmq_error err;
    (void)state;
    RIG_CHECK(hmq_options_get(o, "tls", value, sizeof value, &err), &err);
    assert_string_equal(value, "yes");
    set(o, "tls_ca", certs_path("ca/ca.crt"));
    expect_works(o);
}

static void test_whom_it_trusts(void **state)
{
    (void)state;
    expect_fails(options_for("localhost"), "certificate"); /* the system's authorities do not know this one */
    hmq_options *o = options_for("localhost");
    set(o, "tls_ca", certs_path("strangers/ca.crt"));
    expect_fails(o, "certificate");
    o = options_for("localhost");
    set(o, "tls_verify", "no");
    expect_works(o);
}

static void test_the_name_in_the_certificate(void **state)
{
    (void)state;
    hmq_options *o = options_for("127.0.0.1");
    set(o, "tls_ca", certs_path("ca/ca.crt"));
    expect_fails(o, "IP address mismatch");
    o = options_for("127.0.0.1");
    set(o, "tls_ca", certs_path("ca/ca.crt"));
    set(o, "tls_server_name", "localhost");
    expect_works(o);
    o = options_for("localhost");
    set(o, "tls_ca", certs_path("ca/ca.crt"));
    set(o, "tls_server_name", "elsewhere.example");
    expect_fails(o, "hostname mismatch");
}

static void test_files_that_cannot_be_used(void **state)
{
    static const char *const wrong[][2] = {{"tls_ca", "/nowhere"}, {"tls_cert", "/nowhere"}, {"tls_key", "/nowhere"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hmq_options *o = options_for("localhost");
        hmq_client *client = NULL;
        hmq_error err;
        set(o, wrong[i][0], wrong[i][1]);
        assert_int_equal(hmq_client_new(o, &client, &err), HMQ_EINVAL);
        assert_non_null(strstr(err.text, "tls_"));
        assert_null(client);
        if (i == 1) {
            set(o, "tls_key", "/nowhere");
            assert_int_equal(hmq_client_new(o, &client, &err), HMQ_EINVAL);
            assert_non_null(strstr(err.text, "No such file"));
        }
        hmq_options_free(o);
    }
}

static void set_client_auth(const char *word)
{
    hmq_options *o = options_for("localhost");
    hmq_error err;
    set(o, "tls_verify", "no");
    set(o, "tls_cert", certs_path("ca/client.crt"));
    set(o, "tls_key", certs_path("ca/client.key"));
    hmq_client *client = client_of(o);
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    const char *words[] = {"name", "tls_client_auth", "value", word, NULL};
    hmq_reply_free(rig_ask(client, "config_set", words));
    hmq_client_free(client);
}

static void test_an_own_certificate(void **state)
{
    (void)state;
    set_client_auth("required");
    hmq_options *o = options_for("localhost");
    set(o, "tls_verify", "no");
    set(o, "tls_cert", certs_path("ca/client.crt"));
    set(o, "tls_key", certs_path("ca/client.key"));
    expect_works(o);
    o = options_for("localhost");
    set(o, "tls_verify", "no");
    expect_fails(o, "certificate required");
    set_client_auth("no");
}

static void test_a_broker_without_tls(void **state)
{
    struct spawned *plain = rig_spawn(NULL);
    char uri[128];
    hmq_error err;
    hmq_options *o = hmq_options_new();
    (void)state;
    snprintf(uri, sizeof uri, "hmqs://localhost:%u", (unsigned)plain->port);
    RIG_CHECK(hmq_options_set_uri(o, uri, &err), &err);
    expect_fails(o, "wrong version number");
    assert_int_equal(spawn_stop(plain), 0);
    spawn_free(plain);
}

static void test_bodies_of_every_size(void **state)
{
    hmq_options *o = options_for("localhost");
    (void)state;
    set(o, "tls_ca", certs_path("ca/ca.crt"));
    hmq_client *client = client_of(o);
    char *body = malloc(4000001);
    assert_non_null(body);
    for (size_t n = 1; n < 4000000; n = n * 3 + 1) {
        memset(body, 'b', n);
        body[n] = '\0';
        rig_put(client, "sizes", body);
    }
    free(body);
    hmq_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmqs),
        cmocka_unit_test(test_whom_it_trusts),
        cmocka_unit_test(test_the_name_in_the_certificate),
        cmocka_unit_test(test_files_that_cannot_be_used),
        cmocka_unit_test(test_an_own_certificate),
        cmocka_unit_test(test_a_broker_without_tls),
        cmocka_unit_test(test_bodies_of_every_size),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
