/* test_webhook_parts.c: tests the parts of a webhook: URLs, which hosts may be called, signatures, decisions. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/webhook/webhook_allow.h"
#include "broker/webhook/webhook_sign.h"
#include "broker/webhook/webhook_url.h"

static bool parse(const char *text, struct webhook_url *u)
{
    return webhook_url_parse(slice_str(text), u);
}

static void check_url(const char *text, const char *host, unsigned port, const char *target,
                      const char *authority)
{
    struct webhook_url u;
    assert_true(parse(text, &u));
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_string_equal(u.target, target);
    assert_string_equal(u.authority, authority);
}

static void urls(void **state)
{
    (void)state;
    check_url("http://a.example.org/check?x=1&y", "a.example.org", 80, "/check?x=1&y",
              "a.example.org");
    check_url("HTTP://Shop_1:8080", "shop_1", 8080, "/", "shop_1:8080");
    check_url("http://127.0.0.1:80/", "127.0.0.1", 80, "/", "127.0.0.1");
    check_url("http://[::1]:9/a%20b", "::1", 9, "/a%20b", "[::1]:9");
    check_url("http://h?q", "h", 80, "/?q", "h");
}

static void no_urls(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "shop",
        "ftp://a/",
        "http:/a",
        "http://",
        "http:///x",
        "http://:80/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:x/",
        "http://user@a/",
        "http://user:pass@a/",
        "http://a/#f",
        "http://a b/",
        "http://a/\x01",
        "http://a/\xc3\xa4",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[1.2.3.4]/",
        "https://a/",
        "http://a/x\r\nHost: b",
    };
    struct webhook_url u;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse(wrong[i], &u))
            fail_msg("'%s' was taken", wrong[i]);
    }
    char longest[WEBHOOK_URL_MAX + 2];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://h/", 9);
    assert_true(webhook_url_parse(slice_of(longest, WEBHOOK_URL_MAX), &u));
    assert_false(webhook_url_parse(slice_of(longest, WEBHOOK_URL_MAX + 1), &u));
    assert_false(webhook_url_parse(slice_of("http://h/\0x", 11), &u));
}

/* Checks whether the list allows the URL, and connecting to this address for it (NULL: not checked). */
static void check_allow(const char *list, const char *url, bool named, const char *address,
                        bool allowed)
{
    char err[200] = "";
    struct webhook_url u;
    struct webhook_allow *a = webhook_allow_new(list, err, sizeof err);
    assert_non_null(a);
    assert_true(parse(url, &u));
    if (webhook_allow_url(a, &u) != named)
        fail_msg("'%s': %s is %sallowed", list, url, named ? "not " : "");
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr *sa = (struct sockaddr *)&six;
    if (address && inet_pton(AF_INET, address, &four.sin_addr) == 1)
        sa = (struct sockaddr *)&four;
    else if (address)
        assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
    if (address && webhook_allow_address(a, &u, sa) != allowed)
        fail_msg("'%s': %s at %s is %sallowed", list, url, address, allowed ? "not " : "");
    webhook_allow_free(a);
}

static void who_may_be_called(void **state)
{
    (void)state;
    check_allow("*", "http://a/", true, "10.0.0.1", true);
    check_allow("*", "http://a/", true, "::1", true);
    check_allow("*", "http://1.2.3.4/", true, "1.2.3.4", true);
    check_allow("", "http://a/", false, "10.0.0.1", false);
    check_allow(" hooks.example.org , other ", "http://Hooks.Example.org/", true, "10.0.0.1", true);
    check_allow("hooks.example.org", "http://example.org/", false, "10.0.0.1", false);
    check_allow("*.example.org", "http://a.b.example.org/", true, "10.0.0.1", true);
    check_allow("*.example.org", "http://example.org/", false, "10.0.0.1", false);
    check_allow("*.example.org", "http://badexample.org/", false, "10.0.0.1", false);
    check_allow("10.0.0.0/8", "http://10.200.0.1/", true, "10.200.0.1", true);
    check_allow("10.0.0.0/8", "http://11.0.0.1/", false, "11.0.0.1", false);
    check_allow("10.1.2.3", "http://10.1.2.3/", true, "10.1.2.3", true);
    check_allow("10.1.2.3", "http://10.1.2.4/", false, "10.1.2.4", false);
    check_allow("10.0.0.0/9", "http://10.127.0.1/", true, NULL, false);
    check_allow("10.0.0.0/9", "http://10.128.0.1/", false, NULL, false);
    check_allow("0.0.0.0/0", "http://8.8.8.8/", true, "8.8.8.8", true);
    check_allow("0.0.0.0/0", "http://[::1]/", false, "::1", false);
    check_allow("fd00::/8", "http://[fd00::5]/", true, "fd00::5", true);
    check_allow("10.0.0.0/8", "http://[::ffff:10.0.0.1]/", true, "::ffff:10.0.0.1", true);
    /* A host name must be in the list itself; it is not allowed because its address would be. */
    check_allow("10.0.0.0/8", "http://svc/", false, NULL, false);
}

/* IPv6 addresses that stand for 169.254.169.254, and for 10.0.0.1 (a00:1). */
static void embedded_addresses_count(void **state)
{
    (void)state;
    static const char *const forms[][2] = {
        {"::169.254.169.254", "::10.0.0.1"},
        {"::ffff:0:169.254.169.254", "::ffff:0:10.0.0.1"},
        {"64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1"},
        {"64:ff9b:1::a9fe:a9fe", "64:ff9b:1::a00:1"},
        {"64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a00:0:100::"},
        {"64:ff9b:1:fa9:fe:a9fe::", "64:ff9b:1:f0a:0:1::"},
        {"64:ff9b:1:ffff:a9:fea9:fe00:0", "64:ff9b:1:ffff:a:0:100:0"},
        {"2002:a9fe:a9fe::1", "2002:a00:1::1"},
        {"2001:0:102:304:0:0:5601:5601", "2001:0:102:304::f5ff:fffe"},
        {"2001:db8::5efe:169.254.169.254", "2001:db8::5efe:10.0.0.1"},
        {"2001:db8::200:5efe:169.254.169.254", "2001:db8::200:5efe:10.0.0.1"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char url[96];
        snprintf(url, sizeof url, "http://[%s]/", forms[i][0]);
        check_allow("*", url, false, forms[i][0], false);
        check_allow("::/0", url, true, forms[i][0], true); /* names 169.254.0.0/16, too: it is ::ffff:169.254.0.0/112 */
        check_allow("*,169.254.0.0/16", url, true, forms[i][0], true);
        check_allow("rebound", "http://rebound/", true, forms[i][0], false);
        snprintf(url, sizeof url, "http://[%s]/", forms[i][1]);
        check_allow("*", url, true, forms[i][1], true);
    }
    check_allow("64:ff9b::/96", "http://[64:ff9b::169.254.169.254]/", false, "64:ff9b::169.254.169.254", false);
    check_allow("64:ff9b::/96", "http://[64:ff9b::10.0.0.1]/", true, "64:ff9b::10.0.0.1", true);
    check_allow("*", "http://[::]/", true, "::", true);
    check_allow("*", "http://[2001:db8::a9fe:a9fe]/", true, "2001:db8::a9fe:a9fe", true);
}

static void link_local_must_be_named(void **state)
{
    (void)state;
    check_allow("*", "http://169.254.169.254/", false, "169.254.169.254", false);
    check_allow("*", "http://[fe80::1]/", false, "fe80::1", false);
    check_allow("*", "http://[febf::1]/", false, "febf::1", false);
    check_allow("*", "http://[::ffff:169.254.1.1]/", false, "::ffff:169.254.1.1", false);
    check_allow("*", "http://rebound/", true, "169.254.169.254", false);
    check_allow("rebound", "http://rebound/", true, "fe80::1", false);
    check_allow("rebound", "http://rebound/", true, "::ffff:169.254.169.254", false);
    check_allow("rebound,169.254.169.254", "http://rebound/", true, "169.254.169.254", true);
    check_allow("169.254.0.0/16", "http://169.254.1.1/", true, "169.254.1.1", true);
    check_allow("*,fe80::/10", "http://[fe80::1]/", true, "fe80::1", true);
    check_allow("*", "http://169.253.1.1/", true, "169.253.1.1", true);
    check_allow("*", "http://[fd00:ec2::254]/", false, "fd00:ec2::254", false);
    check_allow("*", "http://[fd20:ce::254]/", false, "fd20:ce::254", false);
    check_allow("*", "http://[fd00:c1::a9fe:a9fe]/", false, "fd00:c1::a9fe:a9fe", false);
    check_allow("rebound", "http://rebound/", true, "fd00:ec2::254", false);
    check_allow("fd00:ec2::254", "http://[fd00:ec2::254]/", true, "fd00:ec2::254", true);
    check_allow("*", "http://[fd00:ec3::254]/", true, "fd00:ec3::254", true);
}

static void no_lists(void **state)
{
    (void)state;
    static const char *const wrong[] = {"10.0.0.0/33", "10.0.0.0/x", "fe80::/129", "10.0.0",
                                        "a b",         "http://a",   "a,*b",       "[::1]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char err[200] = "";
        struct webhook_allow *a = webhook_allow_new(wrong[i], err, sizeof err);
        if (a)
            fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(err, "webhook_allow"));
    }
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
static void signatures(void **state)
{
    (void)state;
    char out[WEBHOOK_SIGNATURE_SIZE];
    uint8_t key[131];
    memset(key, 0x0b, 20);
    assert_true(webhook_sign(slice_of(key, 20), SLICE_LIT("Hi There"), out));
    assert_string_equal(out,
                        "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_true(webhook_sign(SLICE_LIT("Jefe"), SLICE_LIT("what do ya want for nothing?"), out));
    assert_string_equal(out,
                        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_true(webhook_sign(slice_of(key, sizeof key),
                             SLICE_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
                             out));
    assert_string_equal(out,
                        "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void decisions(void **state)
{
    (void)state;
    char out[16];
    assert_true(json_member(SLICE_LIT(" {\"a\":[1,{}],\"decision\":\"commit\"}\r\n"), "decision",
                            out, sizeof out));
    assert_string_equal(out, "commit");
    static const char *const wrong[] = {
        "",
        "commit",
        "\"commit\"",
        "[\"decision\",\"commit\"]",
        "{\"Decision\":\"commit\"}",
        "{\"decision\":1}",
        "{\"decision\":null}",
        "{\"decision\":\"commit\"} x",
        "{\"decision\":\"commit\"",
        "{\"decision\":\"more than sixteen bytes\"}",
        "{\"decision\":\"commit\"}{}",
        "{\"decision\":\"rollback\",\"decision\":\"commit\"}",
        "{\"decision\":\"commit\",\"a\":1,\"d\\u0065cision\":\"commit\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(json_member(slice_str(wrong[i]), "decision", out, sizeof out));
    static char deep[5000];
    memset(deep, '[', sizeof deep);
    assert_false(json_member(slice_of(deep, sizeof deep), "decision", out, sizeof out));
    /* Not NUL-terminated: nothing after the end may be read. */
    char *edge = malloc(21);
    assert_non_null(edge);
    memcpy(edge, "{\"decision\":\"commit\"}", 21);
    assert_true(json_member(slice_of(edge, 21), "decision", out, sizeof out));
    assert_false(json_member(slice_of(edge, 20), "decision", out, sizeof out));
    free(edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(no_urls),
        cmocka_unit_test(who_may_be_called),
        cmocka_unit_test(link_local_must_be_named),
        cmocka_unit_test(embedded_addresses_count),
        cmocka_unit_test(no_lists),
        cmocka_unit_test(signatures),
        cmocka_unit_test(decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
