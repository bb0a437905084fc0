/*
 * test_tls_faults.c: each allocation of OpenSSL fails once while certificates are read, and while a handshake is made and
 * bytes are sent: there is an error, no crash, nothing is leaked (the address sanitizer looks), and the next try works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/tls/tls.h"
#include "broker/tls/tls_first.h"
#include "tests/lib/certs.h"

static uint64_t left; /* allocations until one fails; 0: none does */
static bool fired, inside;

static bool fails(void)
{
    if (!inside || left == 0 || --left > 0)
        return false;
    fired = true;
    return true;
}

static void *faulty_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : malloc(n);
}

static void *faulty_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : realloc(p, n);
}

static void faulty_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

static void fail_at(uint64_t n)
{
    left = n;
    fired = false;
}

static enum status load(struct tls_context *c)
{
    const struct tls_options o = {.cert = certs_path("ca/server.crt"), .key = certs_path("ca/server.key"),
                                  .ca = certs_path("ca/ca.crt"), .client_auth = TLS_CLIENT_OPTIONAL, .now_s = time(NULL)};
    char err[512] = "";
    inside = true;
    enum status s = tls_context_new(&o, c, err, sizeof err);
    inside = false;
    assert_int_equal(ERR_peek_error(), 0);
    assert_true(s == ST_OK || (err[0] && !c->ctx));
    return s;
}

/* A session from the first byte to the last. True: all of it worked. */
static bool session(struct tls_server *server, SSL_CTX *client_ctx)
{
    struct tls tls;
    int fds[2];
    char got[10];
    bool good = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    SSL *client = SSL_new(client_ctx);
    SSL_set_fd(client, fds[1]);
    SSL_set_connect_state(client);
    inside = true;
    bool made = tls_new(&tls, server, fds[0]);
    inside = false;
    enum tls_step step = made ? TLS_WAITS : TLS_FAILED;
    for (int i = 0; i < 10 && step == TLS_WAITS; i++) {
        (void)SSL_do_handshake(client);
        inside = true;
        step = tls_shake(&tls);
        inside = false;
    }
    if (step == TLS_DONE) {
        (void)SSL_write(client, "ask", 3);
        inside = true;
        ssize_t r = tls_read(&tls, got, sizeof got);
        ssize_t w = r > 0 ? tls_write(&tls, "answer", 6) : 0;
        inside = false;
        good = r == 3 && w == 6 && SSL_read(client, got, sizeof got) == 6;
    }
    if (made) {
        inside = true;
        if (step == TLS_FAILED)
            assert_true(strlen(tls_why(&tls)) > 0);
        tls_close(&tls);
        tls_free(&tls);
        inside = false;
    }
    SSL_free(client);
    close(fds[0]);
    close(fds[1]);
    ERR_clear_error();
    return good;
}

static void each_allocation_while_certificates_are_read(void **state)
{
    struct tls_context c;
    uint64_t n = 1;
    (void)state;
    for (bool all = false; !all; n++) {
        fail_at(n);
        enum status s = load(&c);
        all = !fired;
        assert_true(s == ST_OK || fired);
        if (s == ST_OK)
            tls_context_free(&c);
    }
    assert_true(n > 100);
}

static void each_allocation_of_a_session(void **state)
{
    struct tls_server server;
    struct tls_context c;
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    uint64_t n = 1;
    (void)state;
    fail_at(0);
    assert_true(tls_server_init(&server));
    assert_int_equal(load(&c), ST_OK);
    tls_server_install(&server, &c);
    assert_true(session(&server, client_ctx));
    for (bool all = false; !all; n++) {
        fail_at(n);
        bool good = session(&server, client_ctx);
        all = !fired;
        assert_true(good || fired);
    }
    assert_true(n > 50);
    fail_at(0);
    assert_true(session(&server, client_ctx));
    SSL_CTX_free(client_ctx);
    tls_server_fini(&server);
}

/* What OpenSSL sets up once for the process; where that fails, it fails for good. */
static int warm_up(void **state)
{
    struct tls_server server;
    struct tls_context c;
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    (void)state;
    if (!tls_server_init(&server) || load(&c) != ST_OK)
        return 1;
    tls_server_install(&server, &c);
    bool good = session(&server, client_ctx);
    SSL_CTX_free(client_ctx);
    tls_server_fini(&server);
    return good ? 0 : 1;
}

static void refuse(int fd)
{
    (void)fd;
}

static void no_memory_for_http(void **state)
{
    static const struct tls_first first = {refuse};
    struct tls_server server;
    struct tls_context c;
    (void)state;
    fail_at(0);
    assert_true(tls_server_init(&server));
    assert_null(tls_first_new(&server, &first));
    assert_int_equal(load(&c), ST_OK);
    tls_server_install(&server, &c);
    for (uint64_t n = 1;; n++) {
        fail_at(n);
        inside = true;
        struct ssl_st *ssl = tls_first_new(&server, &first);
        inside = false;
        assert_true(ssl || fired);
        tls_first_free(ssl);
        if (!fired)
            break;
    }
    tls_server_fini(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_while_certificates_are_read),
        cmocka_unit_test(each_allocation_of_a_session),
        cmocka_unit_test(no_memory_for_http),
    };
    if (CRYPTO_set_mem_functions(faulty_malloc, faulty_realloc, faulty_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
