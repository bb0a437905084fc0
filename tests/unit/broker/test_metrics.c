/* test_metrics.c: parses /metrics as strictly as a scraper would, with a real store, and checks the format of INFO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <event2/event.h>

#include <pthread.h>

#include "broker/settings/settings.h"
#include "broker/checks/members.h"
#include "broker/group_metrics.h"
#include "broker/unserved.h"
#include "broker/info.h"
#include "broker/metrics.h"
#include "broker/net/net.h"
#include "broker/server_inner.h"
#include "protocol/command/command.h"
#include "tests/lib/tmpdir.h"

/* ---- a store and a journal without loops ---- */

struct fixture {
    struct journal_client client; /* first */
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct entry_list done; /* under lock */
    bool nudged;            /* under lock */
    char *folder;
    struct server server;
};

static void on_post(struct journal_client *c, struct entry_list *done)
{
    struct fixture *f = (struct fixture *)(void *)c;
    pthread_mutex_lock(&f->lock);
    entry_append(&f->done, done);
    pthread_cond_signal(&f->came);
    pthread_mutex_unlock(&f->lock);
}

static void on_news(struct journal_client *c, const struct effects *fx)
{
    (void)c;
    (void)fx;
}

static void on_nudge(struct journal_client *c)
{
    struct fixture *f = (struct fixture *)(void *)c;
    pthread_mutex_lock(&f->lock);
    f->nudged = true;
    pthread_cond_signal(&f->came);
    pthread_mutex_unlock(&f->lock);
}

static void on_fatal(const char *text)
{
    fprintf(stderr, "the store failed: %s\n", text);
    abort();
}

static int set_up(void **state)
{
    struct fixture *f = NULL;
    char err[256], path[512];
    char *argv[] = {(char *)(uintptr_t) "halfmqd", NULL};
    assert_int_equal(posix_memalign((void **)&f, 64, sizeof *f), 0);
    memset(f, 0, sizeof *f);
    f->folder = tmpdir_new();
    f->client = (struct journal_client){.post = on_post, .news = on_news, .nudge = on_nudge};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->came, NULL);
    assert_int_equal(settings_load(1, argv, NULL, &f->server.settings, err, sizeof err), ST_OK);
    snprintf(path, sizeof path, "%s/store", f->folder);
    const struct store_options so = {.path = path, .memory_bytes = 32 << 20};
    if (store_open(&so, &f->server.store, err, sizeof err) != ST_OK ||
        state_load(f->server.store, &f->server.state, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    const struct journal_options jo = {.store = f->server.store, .state = f->server.state, .fsync = FSYNC_NEVER,
                                       .pending_bytes_max = 1 << 20, .pending_max = 100,
                                       .data_path = f->folder, .fatal = on_fatal};
    assert_int_equal(journal_new(&jo, &f->server.journal), ST_OK);
    f->server.net = net_new(&(struct net_env){.settings = f->server.settings, .journal = f->server.journal});
    assert_non_null(f->server.net);
    f->server.group_metrics = group_metrics_new(&f->server, NULL);
    assert_non_null(f->server.group_metrics);
    f->server.unserved = unserved_new(&f->server, NULL);
    assert_non_null(f->server.unserved);
    f->server.members = members_new();
    assert_non_null(f->server.members);
    const struct policy policy = {.dedup_window_ms = 1000, .txn_outcome_retention_ms = 100000,
                                  .txn_timeout_ms = 100000, .checkin_ms = 100000,
                                  .check_every_ms = 100000, .check_max = 3, .txn_bytes = TXN_BYTES_MAX,
                                  .auto_create_topics = true,
                                  .auto_create_groups = true};
    journal_set_policy(f->server.journal, &policy);
    journal_register(f->server.journal, &f->client);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    group_metrics_free(f->server.group_metrics);
    unserved_free(f->server.unserved);
    members_free(f->server.members);
    journal_free(f->server.journal);
    net_free(f->server.net);
    state_drop(f->server.state);
    store_close(f->server.store);
    settings_free(f->server.settings);
    tmpdir_remove(f->folder);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->came);
    free(f);
    return 0;
}

/* Runs one command through the journal, given as words with blanks between them; it must succeed. */
static void run(struct fixture *f, const char *line)
{
    struct slice words[16];
    size_t n = 0;
    struct command_space space;
    struct command cmd;
    char err[256];
    for (const char *at = line; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        words[n++] = slice_of(at, len);
        at += len;
    }
    command_space_init(&space);
    if (command_from_words(&space, words, n, &cmd, err, sizeof err) != ST_OK)
        fail_msg("%s: %s", line, err);
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    assert_true(journal_submit(f->server.journal, &f->client, e));
    journal_turn(f->server.journal, &f->client, TURN_NEWS_FIRST);
    pthread_mutex_lock(&f->lock);
    while (f->done.n == 0) {
        while (f->done.n == 0 && !f->nudged)
            pthread_cond_wait(&f->came, &f->lock);
        f->nudged = false;
        pthread_mutex_unlock(&f->lock);
        journal_turn(f->server.journal, &f->client, TURN_NEWS_FIRST);
        pthread_mutex_lock(&f->lock);
    }
    e = entry_pop(&f->done);
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(e->fate, ST_OK);
    assert_false(reply_is_error(buf_slice(&e->out.reply), NULL));
    entry_free(e);
    command_space_free(&space);
}

/* ---- the format, read strictly ---- */

#define FAMILIES_MAX 200
#define SAMPLES_MAX 2000

struct page {
    const char *families[FAMILIES_MAX];
    size_t family_len[FAMILIES_MAX];
    unsigned n_families;
    const char *series[SAMPLES_MAX]; /* name and labels */
    size_t series_len[SAMPLES_MAX];
    unsigned n_series;
    const char *help, *type; /* of the family being read: its name there */
    size_t help_len, type_len;
    bool histogram;
};

static size_t name_len(const char *at)
{
    size_t n = 0;
    while ((at[n] >= 'a' && at[n] <= 'z') || at[n] == '_' || (n > 0 && at[n] >= '0' && at[n] <= '9'))
        n++;
    return n;
}

static void begin_family(struct page *p, const char *name, size_t len)
{
    for (unsigned i = 0; i < p->n_families; i++) {
        if (p->family_len[i] == len && memcmp(p->families[i], name, len) == 0)
            fail_msg("%.*s is told twice", (int)len, name);
    }
    assert_true(p->n_families < FAMILIES_MAX && len > 0);
    p->families[p->n_families] = name;
    p->family_len[p->n_families++] = len;
    p->help = name;
    p->help_len = len;
    p->type = NULL;
}

static void read_type(struct page *p, const char *name, size_t len)
{
    const char *type = name + len + 1;
    assert_true(p->help && !p->type && len == p->help_len && memcmp(name, p->help, len) == 0);
    p->histogram = strncmp(type, "histogram\n", 10) == 0;
    assert_true(p->histogram || strncmp(type, "counter\n", 8) == 0 || strncmp(type, "gauge\n", 6) == 0);
    if (strncmp(type, "counter\n", 8) == 0)
        assert_true(len > 6 && memcmp(name + len - 6, "_total", 6) == 0);
    p->type = name;
    p->type_len = len;
}

/* Reads the labels in braces. Returns the position after them. */
static const char *read_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        size_t n = name_len(at);
        assert_true(n > 0);
        at += n;
        assert_true(at[0] == '=' && at[1] == '"');
        for (at += 2; *at != '"'; at++) {
            assert_true(*at != '\n' && *at != '\0');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static bool is_suffix(const char *at, size_t len)
{
    return (len == 7 && memcmp(at, "_bucket", 7) == 0) || (len == 4 && memcmp(at, "_sum", 4) == 0) ||
           (len == 6 && memcmp(at, "_count", 6) == 0);
}

static void read_sample(struct page *p, const char *line)
{
    size_t len = name_len(line);
    assert_true(p->type && len >= p->type_len && memcmp(line, p->type, p->type_len) == 0);
    if (p->histogram)
        assert_true(is_suffix(line + p->type_len, len - p->type_len));
    else
        assert_int_equal(len, p->type_len);
    const char *value = read_labels(line + len);
    size_t series = (size_t)(value - line);
    for (unsigned i = 0; i < p->n_series; i++) {
        if (p->series_len[i] == series && memcmp(p->series[i], line, series) == 0)
            fail_msg("%.*s is told twice", (int)series, line);
    }
    assert_true(p->n_series < SAMPLES_MAX);
    p->series[p->n_series] = line;
    p->series_len[p->n_series++] = series;
    assert_int_equal(*value, ' ');
    char *end;
    double v = strtod(value + 1, &end);
    assert_int_equal(*end, '\n');
    assert_true(v >= 0);
}

static void read_page(struct page *p, const char *text)
{
    memset(p, 0, sizeof *p);
    while (*text) {
        const char *name = text + 7;
        if (strncmp(text, "# HELP ", 7) == 0) {
            begin_family(p, name, name_len(name));
            assert_true(name[p->help_len] == ' ' && name[p->help_len + 1] != '\n');
        } else if (strncmp(text, "# TYPE ", 7) == 0) {
            read_type(p, name, name_len(name));
        } else {
            read_sample(p, text);
        }
        text = strchr(text, '\n');
        assert_non_null(text);
        text++;
    }
}

/* Returns the page as text; the caller frees out. */
static const char *scrape(struct fixture *f, struct buf *out)
{
    buf_init(out, 0);
    metrics_write(&f->server, out);
    buf_put_u8(out, 0);
    assert_false(out->failed);
    return (const char *)out->data;
}

static double value_of(const char *text, const char *series)
{
    size_t len = strlen(series);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, series, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    }
    fail_msg("%s is not there", series);
    return -1;
}

static void all_names_of_the_contract_are_there(void **state)
{
    static const char *const names[] = {
        "halfmq_messages_in_total", "halfmq_messages_out_total", "halfmq_messages_acked_total",
        "halfmq_bytes_in_total", "halfmq_bytes_out_total", "halfmq_group_lag_messages",
        "halfmq_group_inflight_messages", "halfmq_group_oldest_age_seconds",
        "halfmq_group_dead_letters", "halfmq_transactions_pending", "halfmq_transactions_parked", "halfmq_delayed_messages",
        "halfmq_delayed_expired_total",
        "halfmq_dead_expired_total", "halfmq_messages_removed_total", "halfmq_bytes_removed_total",
        "halfmq_timers_postponed_total", "halfmq_damaged_records", "halfmq_messages_skipped_total",
        "halfmq_transactions_committed_total", "halfmq_transactions_rolledback_total",
        "halfmq_checks_asked_total", "halfmq_producer_groups_unserved", "halfmq_journal_sync_seconds", "halfmq_journal_group_commands",
        "halfmq_connections", "halfmq_errors_total", "halfmq_disk_free_bytes", "halfmq_build_info",
        "process_resident_memory_bytes", "process_start_time_seconds", "process_cpu_seconds_total",
        "process_open_fds",
    };
    struct buf out;
    struct page page;
    read_page(&page, scrape(*state, &out));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool found = false;
        for (unsigned k = 0; k < page.n_families && !found; k++)
            found = page.family_len[k] == strlen(names[i]) &&
                    memcmp(page.families[k], names[i], page.family_len[k]) == 0;
        if (!found)
            fail_msg("%s is not there", names[i]);
    }
    buf_free(&out);
}

static void what_is_stored_is_counted(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    struct page page;
    run(f, "SEND orders hello");
    run(f, "SEND orders again");
    run(f, "HALF shop orders later");
    run(f, "GROUP CREATE billing orders");
    run(f, "POP billing orders");
    const char *text = scrape(f, &out);
    read_page(&page, text);
    assert_true(value_of(text, "halfmq_messages_in_total") == 2);
    assert_true(value_of(text, "halfmq_bytes_in_total") == 10);
    assert_true(value_of(text, "halfmq_transactions_pending") == 1);
    assert_true(value_of(text, "halfmq_group_lag_messages{group=\"billing\",topic=\"orders\"}") == 2);
    assert_true(value_of(text, "halfmq_group_ready_messages{group=\"billing\",topic=\"orders\"}") == 1);
    assert_true(value_of(text, "halfmq_group_inflight_messages{group=\"billing\",topic=\"orders\"}") == 1);
    double age = value_of(text, "halfmq_group_oldest_age_seconds{group=\"billing\",topic=\"orders\"}");
    assert_true(age >= 0 && age < 3600);
    assert_true(value_of(text, "halfmq_build_info{version=\"0.1.0\"}") == 1);
    buf_free(&out);
}

static void what_is_deleted_disappears(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    run(f, "SEND orders hello");
    run(f, "GROUP CREATE billing orders");
    assert_non_null(strstr(scrape(f, &out), "group=\"billing\""));
    buf_free(&out);
    run(f, "GROUP DELETE billing");
    assert_null(strstr(scrape(f, &out), "group=\"billing\""));
    buf_free(&out);
}

static void histograms_add_up(void **state)
{
    static const char *const names[] = {"halfmq_journal_sync_seconds", "halfmq_journal_group_commands"};
    struct fixture *f = *state;
    struct buf out;
    for (unsigned i = 0; i < 5; i++)
        run(f, "SEND orders hello");
    const char *text = scrape(f, &out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char series[128], bucket[128];
        double last_bound = 0, last = 0, v;
        snprintf(bucket, sizeof bucket, "%s_bucket{le=\"", names[i]);
        for (const char *at = strstr(text, bucket); at; at = strstr(at + 1, bucket)) {
            char *behind;
            double bound = strtod(at + strlen(bucket), &behind);
            assert_true(bound > last_bound);
            v = strtod(behind + 2, NULL);
            assert_true(v >= last);
            last_bound = bound;
            last = v;
        }
        snprintf(series, sizeof series, "%s_count", names[i]);
        assert_true(value_of(text, series) == last);
        snprintf(series, sizeof series, "%s_bucket{le=\"+Inf\"}", names[i]);
        assert_true(value_of(text, series) == last);
    }
    assert_true(value_of(text, "halfmq_journal_group_commands_count") >= 1);
    assert_true(value_of(text, "halfmq_journal_group_commands_sum") == 5);
    buf_free(&out);
}

static void cells_of_the_main_thread_and_errors_are_summed(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    counters_add(&f->server.counters, COUNTER_CONNECTIONS_REFUSED, 3);
    counters_add(&f->server.counters, COUNTER_CONNECTIONS, 5);
    counters_sub(&f->server.counters, COUNTER_CONNECTIONS, 1);
    counters_error(&f->server.counters, ST_NOTOPIC);
    counters_error(&f->server.counters, ST_NOMEM);
    const char *text = scrape(f, &out);
    assert_true(value_of(text, "halfmq_connections_refused_total") == 3);
    assert_true(value_of(text, "halfmq_connections") == 4);
    assert_true(value_of(text, "halfmq_errors_total{code=\"NOTOPIC\"}") == 1);
    assert_true(value_of(text, "halfmq_errors_total{code=\"STALE\"}") == 0);
    assert_null(strstr(text, "code=\"OK\""));
    buf_free(&out);
}

static void write_info(struct fixture *f, const struct slice *sections, size_t n, struct buf *out)
{
    struct view *view = journal_view(f->server.journal, &f->client);
    assert_non_null(view);
    info_write(&f->server, view, sections, n, out);
    view_close(view);
}

static void info_has_sections_of_name_and_value(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    unsigned sections = 0;
    run(f, "SEND orders hello");
    buf_init(&out, 0);
    write_info(f, NULL, 0, &out);
    buf_put_u8(&out, 0);
    assert_false(out.failed);
    const char *at = (const char *)out.data;
    assert_non_null(strstr(at, "version:0.1.0\r\n"));
    assert_non_null(strstr(at, "messages_in:1\r\n"));
    assert_non_null(strstr(at, "fsync:always\r\n"));
    while (*at) {
        const char *end = strstr(at, "\r\n");
        assert_non_null(end);
        sections += strncmp(at, "# ", 2) == 0;
        if (end > at && *at != '#') {
            const char *colon = memchr(at, ':', (size_t)(end - at));
            assert_non_null(colon);
            assert_int_equal((size_t)(colon - at), name_len(at));
        }
        at = end + 2;
    }
    assert_int_equal(sections, 8);
    buf_free(&out);
}

static void info_takes_section_names(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    buf_init(&out, 0);
    write_info(f, (const struct slice[]){SLICE_LIT("JOURNAL"), SLICE_LIT("disk")}, 2, &out);
    buf_put_u8(&out, 0);
    assert_non_null(strstr((const char *)out.data, "# Journal\r\ngroups:0\r\n"));
    assert_non_null(strstr((const char *)out.data, "\r\n\r\n# Disk\r\n"));
    assert_null(strstr((const char *)out.data, "# Server"));
    buf_reset(&out, 0);
    write_info(f, (const struct slice[]){SLICE_LIT("nonsense")}, 1, &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* With many groups a scrape begins a reading and shows the last one that is complete; the event loop does the rest. */
static void many_groups_are_read_in_turns(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    char line[64];
    run(f, "SEND wide m");
    for (int i = 0; i < 500; i++) {
        (void)snprintf(line, sizeof line, "GROUP CREATE g%d wide", i);
        run(f, line);
    }
    struct event_base *base = event_base_new();
    assert_non_null(base);
    group_metrics_free(f->server.group_metrics);
    f->server.group_metrics = group_metrics_new(&f->server, base);
    assert_null(strstr(scrape(f, &out), "halfmq_groups "));
    buf_free(&out);
    assert_int_equal(event_base_dispatch(base), 1); /* until it has nothing more to do */
    run(f, "GROUP CREATE new wide");
    const char *text = scrape(f, &out);
    assert_true(value_of(text, "halfmq_groups") >= 500);
    assert_true(value_of(text, "halfmq_group_ready_messages{group=\"g499\",topic=\"wide\"}") == 1);
    assert_null(strstr(text, "group=\"new\""));
    buf_free(&out);
    assert_int_equal(event_base_dispatch(base), 1);
    assert_non_null(strstr(scrape(f, &out), "group=\"new\""));
    buf_free(&out);
    group_metrics_free(f->server.group_metrics); /* while one is under way */
    f->server.group_metrics = group_metrics_new(&f->server, NULL);
    event_base_free(base);
}

static double unserved(struct fixture *f)
{
    struct buf out;
    double n = value_of(scrape(f, &out), "halfmq_producer_groups_unserved");
    buf_free(&out);
    return n;
}

#define ALL (2 * UNSERVED_AT_ONCE + 1)

/* The same with producer groups that have a check-back due. */
static void many_producer_groups_are_read_in_turns(void **state)
{
    struct fixture *f = *state;
    char line[64];
    for (int i = 0; i < ALL; i++) {
        (void)snprintf(line, sizeof line, "HALF p%04d t m CHECKIN 0", i);
        run(f, line);
    }
    assert_true(unserved(f) == ALL);
    struct event_base *base = event_base_new();
    assert_non_null(base);
    unserved_free(f->server.unserved);
    f->server.unserved = unserved_new(&f->server, base);
    assert_true(unserved(f) == 0); /* the first reading has not begun */
    assert_int_equal(event_base_dispatch(base), 1);
    assert_true(unserved(f) == ALL);
    run(f, "HALF zz t m CHECKIN 0");
    assert_true(unserved(f) == ALL); /* what was read before */
    assert_int_equal(event_base_dispatch(base), 1);
    assert_true(unserved(f) == ALL + 1);
    unserved_free(f->server.unserved); /* while one is under way */
    f->server.unserved = unserved_new(&f->server, NULL);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_names_of_the_contract_are_there),
        TEST(what_is_stored_is_counted),
        TEST(what_is_deleted_disappears),
        TEST(many_groups_are_read_in_turns),
        TEST(many_producer_groups_are_read_in_turns),
        TEST(histograms_add_up),
        TEST(cells_of_the_main_thread_and_errors_are_summed),
        TEST(info_has_sections_of_name_and_value),
        TEST(info_takes_section_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
