/* test_log.c: tests that each event is one well-formed line of limited length, and that repeated events are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log.h"

static char text[256 * 1024]; /* the output of the last capture */
static FILE *capture;
static int real_stderr;

/* Sends standard error to a file. capture_end reads that file into `text`. */
static void capture_begin(void)
{
    capture = tmpfile();
    assert_non_null(capture);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0 && dup2(fileno(capture), STDERR_FILENO) >= 0);
}

static void capture_end(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    rewind(capture);
    size_t n = fread(text, 1, sizeof text - 1, capture);
    text[n] = '\0';
    fclose(capture);
}

static unsigned count(const char *needle)
{
    unsigned n = 0;
    for (const char *at = strstr(text, needle); at; at = strstr(at + 1, needle))
        n++;
    return n;
}

static void a_line_has_time_level_and_message(void **state)
{
    (void)state;
    struct tm tm;
    int ms = -1, used = 0;
    capture_begin();
    log_event(LOG_WARN, "ready", " addr=%s n=%d", "127.0.0.1:1", 5);
    log_text(LOG_ERROR, "no values");
    capture_end();
    char *end = strptime(text, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(end);
    assert_int_equal(sscanf(end, ".%3dZ%n", &ms, &used), 1);
    assert_int_equal(used, 5);
    assert_int_equal(end[used], ' ');
    assert_non_null(strstr(text, " level=warn msg=\"ready\" addr=127.0.0.1:1 n=5\n"));
    assert_non_null(strstr(text, " level=error msg=\"no values\"\n"));
    assert_int_equal(count("\n"), 2);
}

static void the_level_decides(void **state)
{
    (void)state;
    capture_begin();
    log_set_level(LOG_ERROR);
    log_text(LOG_WARN, "not this");
    log_text(LOG_ERROR, "but this");
    log_set_level(LOG_DEBUG);
    log_text(LOG_DEBUG, "and this");
    log_set_level(LOG_INFO);
    log_text(LOG_DEBUG, "nor that");
    capture_end();
    assert_int_equal(count("\n"), 2);
    assert_int_equal(count("but this") + count("and this"), 2);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    static char huge[10000];
    memset(huge, 'x', sizeof huge - 1);
    capture_begin();
    log_event(LOG_INFO, "long", " v=%s", huge);
    capture_end();
    assert_true(strlen(text) <= 2048);
    assert_non_null(strstr(text, "x...\n"));
}

static void a_value_cannot_begin_a_line(void **state)
{
    (void)state;
    capture_begin();
    log_event(LOG_INFO, "careless", " v=%s", "a\nts=2026 level=error msg=forged");
    capture_end();
    assert_int_equal(count("\n"), 1);
}

static void wait_for_next_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t was = now.tv_sec;
    while (now.tv_sec == was)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

/* The thousand lines may fall into several seconds: those that were not written must be counted. */
static void repeats_are_counted(void **state)
{
    (void)state;
    unsigned suppressed = 0;
    capture_begin();
    for (unsigned i = 0; i < 1000; i++)
        log_event(LOG_INFO, "flood", " i=%u", i);
    log_text(LOG_INFO, "another kind");
    wait_for_next_second();
    log_text(LOG_INFO, "another kind");
    capture_end();
    for (const char *at = strstr(text, "suppressed="); at; at = strstr(at + 1, "suppressed="))
        suppressed += (unsigned)strtoul(at + strlen("suppressed="), NULL, 10);
    assert_int_equal(count("msg=\"flood\" i=") + suppressed, 1000);
    assert_true(suppressed > 0);
    assert_int_equal(count("another kind"), 2);
}

static void quote(const char *value, const char *expected)
{
    char out[64];
    assert_ptr_equal(log_quote(value, out, sizeof out), out);
    assert_string_equal(out, expected);
}

static void values_are_quoted_where_needed(void **state)
{
    (void)state;
    quote("plain:1/x", "plain:1/x");
    quote("", "\"\"");
    quote("two words", "\"two words\"");
    quote("a=b", "\"a=b\"");
    quote("q\"\\", "\"q\\\"\\\\\"");
    quote("a\nb\x01", "\"a\\nb\\x01\"");
    quote("gr\xc3\xbc", "gr\xc3\xbc");
}

static void a_quoted_value_is_cut_whole(void **state)
{
    (void)state;
    char out[8];
    log_quote("a \n\n\n\n", out, sizeof out);
    assert_string_equal(out, "\"a \\n\"");
    log_quote("much too long for it", out, sizeof out);
    assert_string_equal(out, "\"much \"");
    log_quote("longword", out, sizeof out);
    assert_string_equal(out, "\"longw\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_message),
        cmocka_unit_test(the_level_decides),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(a_value_cannot_begin_a_line),
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(values_are_quoted_where_needed),
        cmocka_unit_test(a_quoted_value_is_cut_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
