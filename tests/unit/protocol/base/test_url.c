/* test_url.c: tests that URLs which the broker can call are parsed, and that all others are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/url.h"

static void is(const char *text, const char *host, uint16_t port, const char *target)
{
    struct url url;
    assert_true(url_parse(slice_str(text), &url));
    assert_true(slice_equal(url.host, slice_str(host)));
    assert_int_equal(url.port, port);
    assert_true(slice_equal(url.target, slice_str(target)));
    assert_int_equal(url.bracketed, strchr(host, ':') != NULL);
}

static void taken_apart(void **state)
{
    (void)state;
    is("http://shop", "shop", 80, "");
    is("http://shop/", "shop", 80, "/");
    is("HTTP://shop.example:8080/check?a=b/c", "shop.example", 8080, "/check?a=b/c");
    is("http://127.0.0.1:1?x", "127.0.0.1", 1, "?x");
    is("http://[::1]/x", "::1", 80, "/x");
    is("http://[fe80::1]:65535", "fe80::1", 65535, "");
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "http://",        "https://h/",      "ftp://h/",      "h/x",          "http:/h",
        "http://:80", "http://h:0",     "http://h:65536",  "http://h:",     "http://h:x/",  "http://h:80:80/",
        "http://u@h", "http://u:p@h/",  "http://h/a b",    "http://h/\r\n", "http://h/#f",  "http://[::1",
        "http://[]/", "http://[::1]x/", "http://[h]/",     "http://h/\x7f", "http://h\\/",  "http://\xc3\xa4/",
        "http:///x",  "http://h /",     "http://h\n.x/",   "http://h/\"",   "http://h:+1/", "http://[::1%25e]/",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct url url;
        if (url_parse(slice_str(bad[i]), &url))
            fail_msg("'%s' was taken", bad[i]);
    }
    struct url url;
    assert_false(url_parse(slice_of("http://h/\0", 10), &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken_apart), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
