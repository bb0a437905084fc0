/* test_socket.c: tests listening on addresses and host names, and on ports that are in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/socket.h"

static bool connects(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    bool done = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return done;
}

static void port_0_picks_a_free_one(void **state)
{
    struct sockets s;
    char err[256], text[SOCKET_TEXT_MAX];
    (void)state;
    assert_int_equal(sockets_open("127.0.0.1", 0, "port", &s, err, sizeof err), ST_OK);
    assert_int_equal(s.n, 1);
    assert_true(s.port > 0);
    snprintf(text, sizeof text, "127.0.0.1:%d", s.port);
    assert_string_equal(s.text, text);
    assert_false(connects(s.port)); /* until it is listened on */
    assert_int_equal(sockets_listen(&s, "port", err, sizeof err), ST_OK);
    assert_true(connects(s.port));
    sockets_close(&s);
    sockets_close(&s);
}

static void a_name_is_listened_on_wherever_it_points(void **state)
{
    static const char *const names[] = {"localhost", "*"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sockets s;
        char err[256] = "";
        if (sockets_open(names[i], 0, "port", &s, err, sizeof err) != ST_OK ||
            sockets_listen(&s, "port", err, sizeof err) != ST_OK)
            fail_msg("%s", err);
        assert_true(s.n >= 1);
        assert_true(connects(s.port));
        sockets_close(&s);
    }
}

static void a_port_that_is_taken_is_named_with_its_flag(void **state)
{
    struct sockets first, second = {.n = 77};
    char err[256], expected[256];
    (void)state;
    assert_int_equal(sockets_open("127.0.0.1", 0, "port", &first, err, sizeof err), ST_OK);
    assert_int_equal(sockets_listen(&first, "port", err, sizeof err), ST_OK);
    assert_int_equal(sockets_open("127.0.0.1", first.port, "http_port", &second, err, sizeof err), ST_IO);
    snprintf(expected, sizeof expected,
             "cannot listen on 127.0.0.1:%d: address in use: stop the other program or choose another "
             "--http_port",
             first.port);
    assert_string_equal(err, expected);
    assert_int_equal(second.n, 77);
    sockets_close(&first);
}

/* Two programs may have the same address, as long as neither listens. */
static void a_port_that_is_taken_meanwhile_is_named_as_well(void **state)
{
    struct sockets first, second;
    char err[256];
    (void)state;
    assert_int_equal(sockets_open("127.0.0.1", 0, "port", &first, err, sizeof err), ST_OK);
    assert_int_equal(sockets_open("127.0.0.1", first.port, "port", &second, err, sizeof err), ST_OK);
    assert_int_equal(sockets_listen(&first, "port", err, sizeof err), ST_OK);
    assert_int_equal(sockets_listen(&second, "port", err, sizeof err), ST_IO);
    assert_non_null(strstr(err, "address in use: stop the other program or choose another --port"));
    sockets_close(&first);
    sockets_close(&second);
}

static void other_failures_say_what_to_change(void **state)
{
    struct sockets s;
    char err[256];
    (void)state;
    assert_int_equal(sockets_open("no host\x01", 0, "port", &s, err, sizeof err), ST_IO);
    assert_non_null(strstr(err, "choose another --bind"));
    assert_int_equal(sockets_open("192.0.2.1", 0, "port", &s, err, sizeof err), ST_IO);
    assert_non_null(strstr(err, "cannot listen on 192.0.2.1:0"));
    assert_non_null(strstr(err, "--bind"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_picks_a_free_one),
        cmocka_unit_test(a_name_is_listened_on_wherever_it_points),
        cmocka_unit_test(a_port_that_is_taken_is_named_with_its_flag),
        cmocka_unit_test(a_port_that_is_taken_meanwhile_is_named_as_well),
        cmocka_unit_test(other_failures_say_what_to_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
