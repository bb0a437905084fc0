/*
 * test_tls.c: tests TLS behind the calls of a socket, with a client on the other end of a socket pair: handshakes, records of
 * all sizes, ends, what is no TLS, and that tls_bytes is no less than what OpenSSL holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/tls/tls.h"
#include "tests/lib/certs.h"

#define MANY 64

static struct tls_server server;
static SSL_CTX *client_ctx;

struct pair {
    int fds[2];
    struct tls tls; /* on fds[0] */
    SSL *client; /* on fds[1] */
};

static struct tls_options options(void)
{
    return (struct tls_options){.cert = certs_path("ca/server.crt"), .key = certs_path("ca/server.key"), .ca = "",
                                .now_s = time(NULL)};
}

static int start(void **state)
{
    struct tls_options o = options();
    struct tls_context c;
    char err[512];
    (void)state;
    assert_true(tls_server_init(&server));
    assert_false(tls_server_is_on(&server));
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_OK);
    assert_true(c.expires_s > o.now_s);
    tls_server_install(&server, &c);
    assert_true(tls_server_is_on(&server));
    client_ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(client_ctx);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    SSL_CTX_free(client_ctx);
    tls_server_fini(&server);
    return 0;
}

static void pair_open(struct pair *p)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    assert_true(tls_new(&p->tls, &server, p->fds[0]));
    p->client = SSL_new(client_ctx);
    assert_non_null(p->client);
    assert_int_equal(SSL_set_fd(p->client, p->fds[1]), 1);
    SSL_set_connect_state(p->client);
}

static void pair_shake(struct pair *p)
{
    enum tls_step step = TLS_WAITS;
    for (int i = 0; i < 10 && step == TLS_WAITS; i++) {
        (void)SSL_do_handshake(p->client);
        step = tls_shake(&p->tls);
    }
    assert_int_equal(step, TLS_DONE);
}

static void pair_close(struct pair *p)
{
    tls_free(&p->tls);
    SSL_free(p->client);
    close(p->fds[0]);
    close(p->fds[1]);
}

static void bytes_in_both_directions(void **state)
{
    struct pair p;
    static char sent[200000], got[200000];
    (void)state;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7);
    pair_open(&p);
    pair_shake(&p);
    assert_string_equal(tls_version(&p.tls), "TLSv1.3");
    assert_int_equal(tls_read(&p.tls, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    for (size_t n = 1; n <= sizeof sent; n = n * 3 + 1) {
        size_t in = 0, out = 0, back = 0;
        while (in < n || back < n) {
            size_t one;
            if (out < n && SSL_write_ex(p.client, sent + out, n - out > 16384 ? 16384 : n - out, &one))
                out += one;
            ssize_t r = in < n ? tls_read(&p.tls, got + in, n - in) : 0;
            in += r > 0 ? (size_t)r : 0;
            if (in < n)
                continue;
            assert_memory_equal(sent, got, n);
            for (size_t put = 0; back < n;) {
                ssize_t w = put < n ? tls_write(&p.tls, sent + put, n - put) : 0;
                put += w > 0 ? (size_t)w : 0;
                while (SSL_read_ex(p.client, got + back, sizeof got - back, &one))
                    back += one;
            }
            assert_memory_equal(sent, got, n);
        }
    }
    pair_close(&p);
}

/* Many small records come with one read, and a small room leaves bytes in OpenSSL that the socket does not report. */
static void unread_bytes(void **state)
{
    struct pair p;
    char got[1000];
    (void)state;
    pair_open(&p);
    pair_shake(&p);
    (void)tls_read(&p.tls, got, sizeof got);
    for (int i = 0; i < 100; i++)
        assert_int_equal(SSL_write(p.client, "0123456789", 10), 10);
    assert_int_equal(tls_read(&p.tls, got, 15), 15);
    assert_true(p.tls.unread);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 985);
    assert_false(p.tls.unread);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(&p);
}

static void a_client_that_does_not_read(void **state)
{
    struct pair p;
    static char block[100000];
    size_t sent = 0, got = 0, one;
    (void)state;
    pair_open(&p);
    pair_shake(&p);
    ssize_t n;
    while ((n = tls_write(&p.tls, block, sizeof block)) > 0)
        sent += (size_t)n;
    assert_int_equal(n, -1);
    assert_int_equal(errno, EAGAIN);
    size_t held = tls_bytes(&p.tls);
    while (SSL_read_ex(p.client, block, sizeof block, &one))
        got += one;
    assert_true(got <= sent);
    n = tls_write(&p.tls, block, sizeof block); /* the record that was refused, and more */
    assert_true(n > 0);
    sent += (size_t)n;
    while (SSL_read_ex(p.client, block, sizeof block, &one))
        got += one;
    while (got < sent && (n = tls_write(&p.tls, block, sizeof block)) > 0) {
        sent += (size_t)n;
        while (SSL_read_ex(p.client, block, sizeof block, &one))
            got += one;
    }
    assert_true(held >= tls_bytes(&p.tls));
    pair_close(&p);
}

static void ends(void **state)
{
    struct pair p;
    char got[100];
    (void)state;
    pair_open(&p); /* the client says that it ends */
    pair_shake(&p);
    assert_int_equal(SSL_write(p.client, "bye", 3), 3);
    (void)SSL_shutdown(p.client);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 3);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 0);
    assert_int_equal(tls_write(&p.tls, "last", 4), 4);
    assert_int_equal(SSL_read(p.client, got, sizeof got), 4);
    tls_close(&p.tls);
    assert_int_equal(SSL_read(p.client, got, sizeof got), 0);
    pair_close(&p);
    pair_open(&p); /* ... or just closes */
    pair_shake(&p);
    shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 0);
    pair_close(&p);
    pair_open(&p); /* ... in the middle of the handshake */
    (void)SSL_do_handshake(p.client);
    assert_int_equal(tls_shake(&p.tls), TLS_WAITS);
    shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(tls_shake(&p.tls), TLS_FAILED);
    assert_non_null(tls_why(&p.tls));
    tls_close(&p.tls);
    pair_close(&p);
}

static void what_is_no_tls(void **state)
{
    static const char *const first[] = {"GET / HTTP/1.0\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "\x16\x03\x01\x00\x05garbage garbage",
                                        "\x80\x2e\x01\x03\x01 an old hello that is none at all, but long enough"};
    struct pair p;
    char got[100];
    (void)state;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        pair_open(&p);
        assert_true(write(p.fds[1], first[i], strlen(first[i])) > 0);
        shutdown(p.fds[1], SHUT_WR);
        assert_int_equal(tls_shake(&p.tls), TLS_FAILED);
        assert_true(strlen(tls_why(&p.tls)) > 0);
        pair_close(&p);
    }
    pair_open(&p);
    pair_shake(&p);
    assert_int_equal(write(p.fds[1], "\x17\x03\x03\x00\x05hello", 10), 10);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(tls_write(&p.tls, "x", 1), -1);
    assert_int_not_equal(errno, EAGAIN);
    pair_close(&p);
}

static size_t held(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void shake_all(struct pair *all, bool done)
{
    for (int round = 0; round < (done ? 4 : 1); round++) {
        for (size_t i = 0; i < MANY; i++) {
            (void)tls_shake(&all[i].tls);
            if (done)
                (void)SSL_do_handshake(all[i].client);
        }
    }
}

/* What the sanitizers' malloc says is nothing; then there is nothing to compare. */
static void tls_bytes_is_no_less_than_what_is_held(void **state)
{
    static struct pair all[MANY];
    (void)state;
    pair_open(&all[0]);
    pair_shake(&all[0]);
    pair_close(&all[0]);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, all[i].fds), 0);
        all[i].client = SSL_new(client_ctx);
        SSL_set_fd(all[i].client, all[i].fds[1]);
        SSL_set_connect_state(all[i].client);
        (void)SSL_do_handshake(all[i].client);
    }
    size_t before = held();
    for (size_t i = 0; i < MANY; i++)
        assert_true(tls_new(&all[i].tls, &server, all[i].fds[0]));
    shake_all(all, false);
    assert_int_equal(tls_bytes(&all[0].tls), TLS_SHAKING_BYTES);
    size_t shaking = (held() - before) / MANY;
    assert_true(shaking <= TLS_SHAKING_BYTES);
    shake_all(all, true);
    size_t clients = held();
    for (size_t i = 0; i < MANY; i++) {
        assert_true(all[i].tls.shaken);
        tls_free(&all[i].tls);
    }
    size_t open = (clients - held()) / MANY; /* what was freed is what they held */
    assert_true(open <= KIB(16));
    for (size_t i = 0; i < MANY; i++)
        pair_close(&all[i]);
}

/* A record that has come in part counts, until the rest of it is there. */
static void half_a_record(void **state)
{
    struct pair p;
    char got[10], record[100];
    (void)state;
    pair_open(&p);
    pair_shake(&p);
    (void)tls_read(&p.tls, got, sizeof got);
    size_t idle = tls_bytes(&p.tls);
    BIO *both = SSL_get_wbio(p.client), *memory = BIO_new(BIO_s_mem());
    assert_non_null(memory);
    BIO_up_ref(both);
    SSL_set0_wbio(p.client, memory);
    assert_int_equal(SSL_write(p.client, "half", 4), 4);
    int n = BIO_read(memory, record, sizeof record);
    assert_true(n > 10);
    SSL_set0_wbio(p.client, both);
    assert_int_equal(write(p.fds[1], record, 10), 10);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    assert_false(p.tls.unread);
    assert_true(tls_bytes(&p.tls) > idle);
    assert_int_equal(tls_write(&p.tls, "on", 2), 2); /* sending changes nothing of that */
    assert_true(tls_bytes(&p.tls) > idle);
    assert_int_equal(write(p.fds[1], record + 10, (size_t)n - 10), n - 10);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 4);
    assert_int_equal(tls_bytes(&p.tls), idle);
    pair_close(&p);
}

/* A signal would end the process. */
static void a_client_that_is_gone(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p);
    pair_shake(&p);
    shutdown(p.fds[1], SHUT_RDWR);
    assert_int_equal(tls_write(&p.tls, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    pair_close(&p);
}

static void a_new_certificate(void **state)
{
    struct pair p, q;
    struct tls_options o = options();
    struct tls_context c, none = {0};
    char err[512], got[10];
    (void)state;
    pair_open(&p);
    pair_shake(&p);
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_OK);
    tls_server_install(&server, &c);
    assert_null(c.ctx);
    assert_int_equal(SSL_write(p.client, "on", 2), 2);
    assert_int_equal(tls_read(&p.tls, got, sizeof got), 2); /* those that are open go on */
    tls_server_install(&server, &none);
    assert_false(tls_server_is_on(&server));
    assert_false(tls_new(&q.tls, &server, p.fds[0]));
    assert_int_equal(tls_write(&p.tls, "on", 2), 2);
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_OK);
    tls_server_install(&server, &c);
    pair_close(&p);
}

static void files_that_are_refused(void **state)
{
    struct tls_options o = options();
    struct tls_context c;
    char err[512];
    (void)state;
    o.key = certs_path("strangers/stranger.key");
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_ERR);
    assert_non_null(strstr(err, "does not fit"));
    o = options();
    o.now_s += INT64_C(400) * 24 * 3600;
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_ERR);
    assert_non_null(strstr(err, "has expired at 20"));
    o.now_s = 0;
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_ERR);
    assert_non_null(strstr(err, "is not valid before 20"));
    o = options();
    o.cert = "/";
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_ERR);
    assert_non_null(strstr(err, "cannot be read: Is a directory"));
    o = options();
    o.client_auth = TLS_CLIENT_REQUIRED;
    o.ca = certs_path("ca/server.key");
    assert_int_equal(tls_context_new(&o, &c, err, sizeof err), ST_ERR);
    assert_non_null(strstr(err, "has no certificates"));
    assert_null(c.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_in_both_directions),
        cmocka_unit_test(unread_bytes),
        cmocka_unit_test(a_client_that_does_not_read),
        cmocka_unit_test(ends),
        cmocka_unit_test(what_is_no_tls),
        cmocka_unit_test(tls_bytes_is_no_less_than_what_is_held),
        cmocka_unit_test(half_a_record),
        cmocka_unit_test(a_client_that_is_gone),
        cmocka_unit_test(a_new_certificate),
        cmocka_unit_test(files_that_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
