/* test_settings.c: tests where settings come from, their allowed values, and how they are shown, changed and saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/settings/settings.h"
#include "broker/settings/settings_value.h"
#include "broker/base/log.h"
#include "protocol/base/reply.h"
#include "tests/lib/tmpdir.h"

#define WORDS_MAX 16

struct fixture {
    char *folder;
    char path[512];
    char err[512];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->folder = tmpdir_new();
    snprintf(f->path, sizeof f->path, "%s/halfmq.conf", f->folder);
    log_set_level(LOG_ERROR);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(f->folder);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void read_file(const struct fixture *f, char *out, size_t size)
{
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    size_t n = fread(out, 1, size - 1, file);
    out[n] = '\0';
    fclose(file);
}

/* words: NULL-terminated, as typed after "halfmqd". */
static enum status load(struct fixture *f, const char *const *words, const char *const *env,
                        struct settings **ret_settings)
{
    char *argv[WORDS_MAX + 1] = {(char *)(uintptr_t) "halfmqd"};
    char *environment[WORDS_MAX + 1] = {NULL};
    int argc = 1;
    for (; words && words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    for (int i = 0; env && env[i]; i++)
        environment[i] = (char *)(uintptr_t)env[i];
    f->err[0] = '\0';
    return settings_load(argc, argv, environment, ret_settings, f->err, sizeof f->err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct settings *must_load(struct fixture *f, const char *const *words, const char *const *env)
{
    struct settings *c = NULL;
    if (load(f, words, env, &c) != ST_OK)
        fail_msg("%s", f->err);
    return c;
}

static void must_fail(struct fixture *f, const char *const *words, const char *const *env,
                      const char *expected)
{
    struct settings *c = NULL;
    assert_int_not_equal(load(f, words, env, &c), ST_OK);
    assert_null(c);
    if (!strstr(f->err, expected))
        fail_msg("expected \"%s\" in \"%s\"", expected, f->err);
}

static const char *text_of(struct settings *c, enum setting_id id, char *out, size_t size)
{
    struct buf b;
    buf_init(&b, 0);
    settings_put(c, id, &b);
    snprintf(out, size, "%.*s", (int)b.len, b.len ? (const char *)b.data : "");
    buf_free(&b);
    return out;
}

static void defaults_are_those_of_the_contract(void **state)
{
    struct settings *c = must_load(*state, NULL, NULL);
    assert_int_equal(settings_num(c, SET_port), 4253);
    assert_int_equal(settings_num(c, SET_http_port), 4280);
    assert_string_equal(settings_text(c, SET_bind), "127.0.0.1");
    assert_string_equal(settings_text(c, SET_data), "./data");
    assert_int_equal(settings_num(c, SET_fsync), 0);
    assert_int_equal(settings_num(c, SET_memory), 256000000);
    assert_int_equal(settings_num(c, SET_max_message_bytes), 4 << 20);
    assert_int_equal(settings_num(c, SET_auto_create_topics), 1);
    assert_int_equal(settings_num(c, SET_dedup_window), 600000);
    assert_int_equal(settings_num(c, SET_txn_outcome_retention), 7 * 86400000LL);
    assert_int_equal(settings_num(c, SET_checkin), 6000);
    assert_int_equal(settings_num(c, SET_check_every), 30000);
    assert_int_equal(settings_num(c, SET_check_max), 15);
    assert_int_equal(settings_num(c, SET_txn_timeout), 86400000);
    assert_int_equal(settings_action(c), ACTION_RUN);
    settings_free(c);
    settings_free(NULL);
}

static void every_default_lies_within_its_own_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        int64_t num;
        struct slice text;
        assert_true(setting_parse((enum setting_id)i, setting_default((enum setting_id)i), &num, &text));
    }
}

static void the_later_place_wins(void **state)
{
    struct fixture *f = *state;
    write_file(f, "port = 1\nhttp_port = 2\ncheck_max = 3\n");
    struct settings *c = must_load(f, WORDS(f->path, "--check_max", "30"),
                                 WORDS("HALFMQ_HTTP_PORT=20", "HALFMQ_CHECK_MAX=29", "PORT=9"));
    assert_int_equal(settings_num(c, SET_port), 1);
    assert_int_equal(settings_num(c, SET_http_port), 20);
    assert_int_equal(settings_num(c, SET_check_max), 30);
    settings_free(c);
    c = must_load(f, WORDS("--port=7", f->path, "--port", "8"), NULL);
    assert_int_equal(settings_num(c, SET_port), 8);
    settings_free(c);
}

static void a_file_may_hold_comments_blanks_and_quotes(void **state)
{
    struct fixture *f = *state;
    write_file(f, "# a comment\r\n"
                  "\n"
                  "   port=5   # behind a value\r\n"
                  "\tdata = \"/srv/a \\\"b\\\" \\\\ # c\"  # quoted\n"
                  "bind = '::1'\n"
                  "webhook_allow = a#b\n"
                  "checkin = 250ms");
    struct settings *c = must_load(f, WORDS(f->path), NULL);
    assert_int_equal(settings_num(c, SET_port), 5);
    assert_string_equal(settings_text(c, SET_data), "/srv/a \"b\" \\ # c");
    assert_string_equal(settings_text(c, SET_bind), "::1");
    assert_string_equal(settings_text(c, SET_webhook_allow), "a#b");
    assert_int_equal(settings_num(c, SET_checkin), 250);
    settings_free(c);
}

static void errors_name_the_place_the_setting_and_what_was_expected(void **state)
{
    struct fixture *f = *state;
    char place[600];
    write_file(f, "port = 1\n\nprot = 2\n");
    snprintf(place, sizeof place, "%s:3: unknown setting \"prot\", did you mean port?", f->path);
    must_fail(f, WORDS(f->path), NULL, place);
    write_file(f, "port = many\n");
    snprintf(place, sizeof place,
             "%s:1: bad value \"many\" for port: expected a number from 0 to 65535", f->path);
    must_fail(f, WORDS(f->path), NULL, place);
    write_file(f, "port 4253\n");
    must_fail(f, WORDS(f->path), NULL, ":1: expected name = value, found \"port 4253\"");
    write_file(f, "data = \"open\n");
    must_fail(f, WORDS(f->path), NULL, ":1: expected a closing quote");
    write_file(f, "data = \"a\" b\n");
    must_fail(f, WORDS(f->path), NULL, ":1: expected nothing after the closing quote");
    must_fail(f, NULL, WORDS("HALFMQ_PORT=x"), "environment variable HALFMQ_PORT: bad value \"x\"");
    must_fail(f, WORDS("--max-connections", "1"), NULL,
              "flag --max-connections: unknown setting \"max-connections\", did you mean "
              "max_connections?");
    must_fail(f, WORDS("--port", "65536"), NULL, "expected a number from 0 to 65535");
    must_fail(f, WORDS("--port"), NULL, "flag --port: bad value \"\" for port");
    must_fail(f, WORDS("--port", "--data", "x"), NULL, "flag --port: bad value \"\"");
    must_fail(f, WORDS("--fsync=sometimes"), NULL, "expected one of always, interval, never");
    must_fail(f, WORDS("--zzzzzzzz=1"), NULL, "unknown setting \"zzzzzzzz\"; halfmqd --help");
    must_fail(f, WORDS("one", "two"), NULL, "unexpected word \"two\"");
    must_fail(f, WORDS("-x"), NULL, "unexpected word \"-x\"");
    must_fail(f, WORDS("/no/such/file"), NULL, "/no/such/file: No such file");
}

static void an_unknown_variable_is_no_error(void **state)
{
    struct settings *c = must_load(*state, NULL, WORDS("HALFMQ_PROT=1", "HALFMQ_port=x", "HALFMQ_=1"));
    assert_int_equal(settings_num(c, SET_port), 4253);
    settings_free(c);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    close(fd);
    must_fail(f, WORDS(f->path), NULL, "cannot read the config file");
}

struct value_case {
    enum setting_id id;
    const char *text;
    int64_t num; /* -1: refused */
};

static void values_are_parsed_by_type(void **state)
{
    static const struct value_case cases[] = {
        {SET_port, "0", 0}, {SET_port, "65535", 65535}, {SET_port, "-1", -1}, {SET_port, "+1", -1},
        {SET_port, "1 ", -1}, {SET_port, "", -1}, {SET_port, "99999999999999999999", -1},
        {SET_memory, "16777216", 16777216}, {SET_memory, "64MB", 64000000},
        {SET_memory, "64mib", 64 << 20}, {SET_memory, "1GB", 1000000000},
        {SET_memory, "1GiB", 1 << 30}, {SET_memory, "1TiB", INT64_C(1) << 40},
        {SET_memory, "2TB", -1}, {SET_memory, "1MB", -1}, {SET_memory, "64M", -1},
        {SET_memory, "64 MB", -1}, {SET_memory, "MB", -1}, {SET_memory, "9999999999999GB", -1},
        {SET_max_message_bytes, "100B", 100}, {SET_max_message_bytes, "0", -1},
        {SET_checkin, "250", 250}, {SET_checkin, "10s", 10000}, {SET_checkin, "2h", 7200000},
        {SET_checkin, "0", -1}, {SET_checkin, "1w", -1}, {SET_checkin, "-1s", -1},
        {SET_auto_create_topics, "YES", 1}, {SET_auto_create_topics, "true", 1},
        {SET_auto_create_topics, "on", 1}, {SET_auto_create_topics, "1", 1},
        {SET_auto_create_topics, "no", 0}, {SET_auto_create_topics, "False", 0},
        {SET_auto_create_topics, "off", 0}, {SET_auto_create_topics, "0", 0},
        {SET_auto_create_topics, "2", -1}, {SET_fsync, "always", 0}, {SET_fsync, "Interval", 1},
        {SET_fsync, "never", 2}, {SET_fsync, "always|interval", -1}, {SET_fsync, "", -1},
        {SET_data, "x", 0}, {SET_data, "", -1}, {SET_data, "a\nb", -1}, {SET_webhook_allow, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t num = -1;
        struct slice text;
        bool ok = setting_parse(cases[i].id, slice_str(cases[i].text), &num, &text);
        if (ok != (cases[i].num >= 0) || num != cases[i].num)
            fail_msg("%s = \"%s\" came to %lld", setting_info(cases[i].id)->name, cases[i].text,
                     (long long)num);
    }
}

static void the_nearest_name_is_one_typing_error_away(void **state)
{
    (void)state;
    assert_string_equal(setting_nearest(SLICE_LIT("PORT")), "port");
    assert_string_equal(setting_nearest(SLICE_LIT("checkmax")), "check_max");
    assert_string_equal(setting_nearest(SLICE_LIT("auto_create_topic")), "auto_create_topics");
    assert_null(setting_nearest(SLICE_LIT("save")));
    assert_null(setting_nearest(SLICE_LIT("")));
    char longer[1000];
    memset(longer, 'p', sizeof longer);
    assert_null(setting_nearest(slice_of(longer, sizeof longer)));
}

static void what_is_printed_reads_back_the_same(void **state)
{
    struct fixture *f = *state;
    char was[1100], is[1100];
    struct settings *c = must_load(f, WORDS("--data", " \"it's\\ #\" ", "--memory=64MiB", "--port", "0",
                                          "--fsync", "NEVER", "--webhook_allow", ""),
                                 WORDS("HALFMQ_CHECKIN=2h"));
    struct buf out;
    buf_init(&out, 0);
    settings_print(c, &out);
    buf_put_u8(&out, 0);
    assert_false(out.failed);
    assert_non_null(strstr((const char *)out.data, "; from command line)\nport = 0\n"));
    assert_non_null(strstr((const char *)out.data, "; from environment)\ncheckin = 2h\n"));
    assert_non_null(strstr((const char *)out.data, "from the default)\nhttp_port = 4280\n"));
    write_file(f, (const char *)out.data);
    struct settings *again = must_load(f, WORDS(f->path), NULL);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        assert_int_equal(settings_num(c, id), settings_num(again, id));
        assert_string_equal(text_of(c, id, was, sizeof was), text_of(again, id, is, sizeof is));
    }
    buf_free(&out);
    settings_free(again);
    settings_free(c);
}

static void help_tells_every_setting_within_100_columns(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    settings_help(&out);
    buf_put_u8(&out, 0);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        char flag[64];
        snprintf(flag, sizeof flag, "  --%s ", setting_info((enum setting_id)i)->name);
        assert_non_null(strstr((const char *)out.data, flag));
    }
    for (const char *line = (const char *)out.data; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    buf_free(&out);
}

static void action_words_are_found(void **state)
{
    struct fixture *f = *state;
    struct settings *c = must_load(f, WORDS("--check-config", "--port", "1"), NULL);
    assert_int_equal(settings_action(c), ACTION_CHECK);
    settings_free(c);
    c = must_load(f, WORDS("--print-config"), NULL);
    assert_int_equal(settings_action(c), ACTION_PRINT);
    settings_free(c);
    c = must_load(f, WORDS("--nonsense", "--help", "/no/such/file"), NULL);
    assert_int_equal(settings_action(c), ACTION_HELP);
    settings_free(c);
    c = must_load(f, WORDS("--version", "--check-config", "--port", "x"), NULL);
    assert_int_equal(settings_action(c), ACTION_VERSION);
    settings_free(c);
}

/* Writes the reply of CONFIG GET to out, as "name=value;" pairs. */
static void get(struct settings *c, const struct slice *patterns, size_t n, char *out, size_t size)
{
    struct buf reply;
    struct token map, name, value;
    size_t len = 0;
    buf_init(&reply, 0);
    settings_get(c, patterns, n, &reply);
    struct cursor at = cursor_of(buf_slice(&reply));
    assert_true(reply_next(&at, &map));
    assert_int_equal(map.kind, TOK_MAP);
    out[0] = '\0';
    for (int64_t i = 0; i < map.n; i++) {
        assert_true(reply_next(&at, &name) && reply_next(&at, &value));
        len += (size_t)snprintf(out + len, size - len, "%.*s=%.*s;", (int)name.bytes.len,
                                (const char *)name.bytes.data, (int)value.bytes.len,
                                (const char *)value.bytes.data);
        assert_true(len < size);
    }
    assert_int_equal(cursor_left(&at), 0);
    buf_free(&reply);
}

static void get_takes_patterns(void **state)
{
    struct settings *c = must_load(*state, NULL, NULL);
    char out[4096], wild[129];
    get(c, (const struct slice[]){SLICE_LIT("port"), SLICE_LIT("CHECK_*")}, 2, out, sizeof out);
    assert_string_equal(out, "port=4253;check_every=30s;check_max=15;");
    get(c, (const struct slice[]){SLICE_LIT("save"), SLICE_LIT("APPENDONLY")}, 2, out, sizeof out);
    assert_string_equal(out, "save=;appendonly=yes;");
    get(c, (const struct slice[]){SLICE_LIT("port\0x"), SLICE_LIT("")}, 2, out, sizeof out);
    assert_string_equal(out, "");
    get(c, (const struct slice[]){SLICE_LIT("*")}, 1, out, sizeof out);
    assert_non_null(strstr(out, "fsync=always;"));
    memset(wild, '*', sizeof wild);
    get(c, (const struct slice[]){slice_of(wild, 128)}, 1, out, sizeof out);
    assert_non_null(strstr(out, "port=4253;"));
    get(c, (const struct slice[]){slice_of(wild, 129)}, 1, out, sizeof out);
    assert_string_equal(out, "");
    settings_free(c);
}

static enum status set(struct fixture *f, struct settings *c, const char *name, const char *value)
{
    const struct slice words[] = {slice_str(name), slice_str(value)};
    struct setting_change changes[SETTING_COUNT];
    enum status s = settings_check(words, 1, changes, f->err, sizeof f->err);
    return s == ST_OK ? settings_set(c, changes, 1, f->err, sizeof f->err) : s;
}

static void set_changes_what_may_change(void **state)
{
    struct fixture *f = *state;
    char out[64];
    struct settings *c = must_load(f, NULL, NULL);
    assert_int_equal(set(f, c, "CHECK_MAX", "3"), ST_OK);
    assert_int_equal(settings_num(c, SET_check_max), 3);
    assert_int_equal(set(f, c, "max_message_bytes", "1000"), ST_OK);
    assert_string_equal(text_of(c, SET_max_message_bytes, out, sizeof out), "1000");
    assert_int_equal(set(f, c, "log_level", "ERROR"), ST_OK);
    assert_string_equal(text_of(c, SET_log_level, out, sizeof out), "error");
    assert_int_equal(set(f, c, "check_max", "1001"), ST_ERR);
    assert_string_equal(f->err, "bad value \"1001\" for check_max: expected a number from 1 to 1000");
    assert_int_equal(settings_num(c, SET_check_max), 3);
    assert_int_equal(set(f, c, "port", "1"), ST_ERR);
    assert_non_null(strstr(f->err, "port cannot change while the broker runs"));
    assert_int_equal(set(f, c, "chek_max", "1"), ST_ERR);
    assert_non_null(strstr(f->err, "did you mean check_max?"));
    settings_free(c);
}

static void rewrite_keeps_all_but_the_values(void **state)
{
    struct fixture *f = *state;
    char text[2048];
    write_file(f, "# ours\n\n  check_max = 5 # asks\nport = 1\nCheckin = \"6s\"");
    assert_int_equal(chmod(f->path, 0600), 0);
    struct settings *c = must_load(f, WORDS(f->path, "--http_port", "7"), NULL);
    assert_int_equal(set(f, c, "check_max", "6"), ST_OK);
    assert_int_equal(set(f, c, "checkin", "9s"), ST_OK);
    assert_int_equal(set(f, c, "fsync", "never"), ST_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(settings_rewrite(c, f->err, sizeof f->err), ST_OK);
        read_file(f, text, sizeof text);
        assert_string_equal(
            text, "# ours\n\n  check_max = 6 # asks\nport = 1\nCheckin = 9s\nfsync = never\n");
    }
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    settings_free(c);
    c = must_load(f, WORDS(f->path), NULL);
    assert_int_equal(settings_num(c, SET_check_max), 6);
    assert_int_equal(settings_num(c, SET_checkin), 9000);
    assert_int_equal(settings_num(c, SET_fsync), 2);
    settings_free(c);
}

static void rewrite_says_what_it_cannot_do(void **state)
{
    struct fixture *f = *state;
    struct settings *c = must_load(f, NULL, NULL);
    assert_int_equal(settings_rewrite(c, f->err, sizeof f->err), ST_ERR);
    assert_non_null(strstr(f->err, "start with one"));
    settings_free(c);
    write_file(f, "port = 1\n");
    c = must_load(f, WORDS(f->path), NULL);
    assert_int_equal(set(f, c, "check_max", "6"), ST_OK);
    tmpdir_remove(f->folder);
    f->folder = NULL;
    assert_int_equal(settings_rewrite(c, f->err, sizeof f->err), ST_IO);
    assert_non_null(strstr(f->err, "cannot write the config file"));
    settings_free(c);
}

static void rewrite_goes_through_a_link(void **state)
{
    struct fixture *f = *state;
    char link_path[600], text[256];
    struct stat st;
    write_file(f, "port = 1\n");
    snprintf(link_path, sizeof link_path, "%s/link.conf", f->folder);
    assert_int_equal(symlink("halfmq.conf", link_path), 0);
    struct settings *c = must_load(f, WORDS(link_path), NULL);
    assert_int_equal(set(f, c, "check_max", "6"), ST_OK);
    assert_int_equal(settings_rewrite(c, f->err, sizeof f->err), ST_OK);
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    read_file(f, text, sizeof text);
    assert_string_equal(text, "port = 1\ncheck_max = 6\n");
    settings_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_contract),
        TEST(every_default_lies_within_its_own_bounds),
        TEST(the_later_place_wins),
        TEST(a_file_may_hold_comments_blanks_and_quotes),
        TEST(errors_name_the_place_the_setting_and_what_was_expected),
        TEST(an_unknown_variable_is_no_error),
        TEST(a_file_that_is_too_large_is_refused),
        TEST(values_are_parsed_by_type),
        TEST(the_nearest_name_is_one_typing_error_away),
        TEST(what_is_printed_reads_back_the_same),
        TEST(help_tells_every_setting_within_100_columns),
        TEST(action_words_are_found),
        TEST(get_takes_patterns),
        TEST(set_changes_what_may_change),
        TEST(rewrite_keeps_all_but_the_values),
        TEST(rewrite_says_what_it_cannot_do),
        TEST(rewrite_goes_through_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
