/*
 * group_metrics.c: reads the lag of all groups step by step, and keeps it as text (group_metrics.h).
 *
 *   query steps ──► tokens ──► rows ──► a sample for each family ──► families ──► text, when all are read
 */
#include "broker/group_metrics.h"

#include <event2/event.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/metrics_text.h"
#include "broker/server_inner.h"
#include "protocol/base/reply.h"
#include "storage/query.h"

enum lag_field { LAG_READY, LAG_INFLIGHT, LAG_DELAYED, LAG_DEAD, LAG_LAG, LAG_OLDEST_MS, LAG_UNEXAMINED, LAG_FIELDS };

static const struct lag_metric {
    const char *field, *name, *help;
} lag_metrics[LAG_FIELDS] = {
    [LAG_READY] = {"ready", "halfmq_group_ready_messages", "Messages that a POP could lease now."},
    [LAG_INFLIGHT] = {"inflight", "halfmq_group_inflight_messages", "Messages leased now."},
    [LAG_DELAYED] = {"delayed", "halfmq_group_delayed_messages", "Messages that wait for their retry delay to pass."},
    [LAG_DEAD] = {"dead", "halfmq_group_dead_letters", "Dead letters."},
    [LAG_LAG] = {"lag", "halfmq_group_lag_messages", "Messages not acknowledged yet."},
    [LAG_OLDEST_MS] = {"oldest_ms", "halfmq_group_oldest_age_seconds",
                       "Age of the oldest message not acknowledged yet."},
    [LAG_UNEXAMINED] = {"unexamined", "halfmq_group_unexamined_messages",
                        "Messages behind those that a FILTER was asked about for the other figures: more of them may match."},
};

struct group_metrics {
    struct server *server;
    struct event *go_on; /* NULL: all steps are done at once */
    struct command_space space;
    struct command lag;
    /* ---- the reading under way; view NULL: there is none ---- */
    struct view *view;
    struct buf tokens; /* of its newest step */
    struct buf families[LAG_FIELDS];
    int64_t groups; /* how many there are; -1: not known yet */
    int64_t rows;   /* that were read */
    /* ---- the newest one that is complete ---- */
    struct buf text;
    int64_t read_ns; /* monotonic; 0: there is none */
};

struct lag_row {
    struct slice group, topic; /* borrowed from the reply */
    int64_t v[LAG_FIELDS];
};

static bool metrics_group_read_row(struct cursor *c, struct lag_row *row)
{
    struct token map, key, v;
    *row = (struct lag_row){0};
    if (!reply_next(c, &map) || map.kind != TOK_MAP)
        return false;
    for (int64_t i = 0; i < map.n; i++) {
        if (!reply_next(c, &key) || !reply_next(c, &v))
            return false;
        if (slice_equal(key.bytes, SLICE_LIT("group")))
            row->group = v.bytes;
        else if (slice_equal(key.bytes, SLICE_LIT("topic")))
            row->topic = v.bytes;
        for (unsigned f = 0; f < LAG_FIELDS; f++) {
            if (slice_equal(key.bytes, slice_str(lag_metrics[f].field)))
                row->v[f] = v.n;
        }
    }
    return true;
}

static void metrics_group_put_sample(struct buf *out, enum lag_field f, const struct lag_row *row)
{
    buf_printf(out, "%s{", lag_metrics[f].name);
    metrics_label(out, "group", row->group);
    buf_put_u8(out, ',');
    metrics_label(out, "topic", row->topic);
    if (f == LAG_OLDEST_MS)
        buf_printf(out, "} %.3f\n", (double)row->v[f] / 1000.0);
    else
        buf_printf(out, "} %lld\n", (long long)row->v[f]);
}

/* Takes the rows of one step. The first token of all is the array's. */
static void metrics_group_take(struct group_metrics *g)
{
    struct cursor c = cursor_of(buf_slice(&g->tokens));
    struct token array;
    if (g->groups < 0 && reply_next(&c, &array))
        g->groups = array.kind == TOK_ARRAY ? array.n : 0;
    struct lag_row row;
    for (; g->rows < GROUP_METRICS_MAX && metrics_group_read_row(&c, &row); g->rows++) {
        for (unsigned f = 0; f < LAG_FIELDS; f++)
            metrics_group_put_sample(&g->families[f], (enum lag_field)f, &row);
    }
    buf_reset(&g->tokens, KIB(64));
}

static void metrics_group_end(struct group_metrics *g)
{
    view_close(g->view);
    g->view = NULL;
    for (unsigned f = 0; f < LAG_FIELDS; f++)
        buf_free(&g->families[f]);
}

/* The reading is complete: its families are the text from now on. */
static void metrics_group_show(struct group_metrics *g)
{
    struct buf text;
    buf_init(&text, 0);
    for (unsigned f = 0; f < LAG_FIELDS; f++) {
        metrics_head(&text, lag_metrics[f].name, "gauge", lag_metrics[f].help);
        buf_put_slice(&text, buf_slice(&g->families[f]));
        text.failed = text.failed || g->families[f].failed;
    }
    metrics_gauge(&text, "halfmq_groups", "Consumer groups, each counted once for each of its topics.",
                  g->groups < 0 ? 0 : g->groups);
    if (text.failed) { /* the last one stays */
        buf_free(&text);
        return;
    }
    buf_free(&g->text);
    g->text = text;
    g->read_ns = clock_mono_ns();
}

/* Takes the tokens of a step. True: there is another one to do. */
static bool metrics_group_stepped(struct group_metrics *g, enum query_step step)
{
    bool failed = step == QUERY_BROKEN || g->tokens.failed || reply_is_error(buf_slice(&g->tokens), NULL);
    if (!failed)
        metrics_group_take(g);
    if (!failed && step == QUERY_MORE && g->rows < GROUP_METRICS_MAX)
        return true;
    if (!failed)
        metrics_group_show(g);
    buf_reset(&g->tokens, KIB(64));
    metrics_group_end(g);
    return false;
}

static bool metrics_group_step(struct group_metrics *g)
{
    struct query_hint hint;
    return metrics_group_stepped(g, query_go_on(g->view, &g->lag, &g->tokens, &hint));
}

/* Does the next step in a later turn, so that other events have theirs. */
static void metrics_group_later(struct group_metrics *g)
{
    static const struct timeval soon = {0, 1000};
    if (event_add(g->go_on, &soon) != 0)
        metrics_group_end(g);
}

static void metrics_group_on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct group_metrics *g = arg;
    (void)fd;
    (void)what;
    if (metrics_group_step(g))
        metrics_group_later(g);
}

static void metrics_group_begin(struct group_metrics *g)
{
    struct journal *journal = g->server->journal;
    g->view = journal_view(journal, NULL);
    if (!g->view)
        return;
    g->groups = -1;
    g->rows = 0;
    for (unsigned f = 0; f < LAG_FIELDS; f++)
        buf_init(&g->families[f], 0);
    struct policy policy = journal_policy(journal);
    struct query_hint hint;
    enum query_step step =
        query_run(g->view, &policy, journal_now_ms(journal), &g->lag, &g->tokens, &hint);
    bool more = metrics_group_stepped(g, step);
    if (more && g->go_on)
        metrics_group_later(g);
    while (more && !g->go_on)
        more = metrics_group_step(g);
}

struct group_metrics *group_metrics_new(struct server *s, struct event_base *base)
{
    static const struct slice words[] = {{(const uint8_t *)"LAG", 3}};
    char err[128];
    struct group_metrics *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->server = s;
    buf_init(&g->tokens, 0);
    buf_init(&g->text, 0);
    command_space_init(&g->space);
    g->go_on = base ? evtimer_new(base, metrics_group_on_turn, g) : NULL;
    bool good = (g->go_on || !base) && command_from_words(&g->space, words, 1, &g->lag, err, sizeof err) == ST_OK;
    if (good)
        return g;
    group_metrics_free(g);
    return NULL;
}

void group_metrics_free(struct group_metrics *g)
{
    if (!g)
        return;
    if (g->view)
        metrics_group_end(g);
    if (g->go_on)
        event_free(g->go_on);
    buf_free(&g->tokens);
    buf_free(&g->text);
    command_space_free(&g->space);
    free(g);
}

void group_metrics_write(struct server *s, struct buf *out)
{
    struct group_metrics *g = s->group_metrics;
    if (!g->view)
        metrics_group_begin(g);
    if (!g->read_ns)
        return; /* the first reading is still under way: a later scrape has it */
    buf_put_slice(out, buf_slice(&g->text));
    metrics_head(out, "halfmq_groups_read_age_seconds", "gauge", "How old the figures of the groups are.");
    buf_printf(out, "halfmq_groups_read_age_seconds %.3f\n", (double)(clock_mono_ns() - g->read_ns) / 1e9);
}
