/*
 * metrics.c: writes /metrics in the Prometheus text format 0.0.4.
 *
 *   counters      of the loops, the webhooks and the main thread, summed (broker/base/counters.def)
 *   tallies       what the store counts (struct tally)         journal   groups, syncs, histograms
 *   lag           of all groups (group_metrics.h)              process   what the kernel counts
 *
 * Each family is written once: HELP, TYPE, then all its samples. Labels are few and never an id, a key or a
 * client. To add a figure: a line in counters.def or in one of the tables below.
 */
#include "broker/metrics.h"

#include <stddef.h>
#include <unistd.h>

#include "broker/group_metrics.h"
#include "broker/metrics_text.h"
#include "broker/net/net.h"
#include "broker/base/process.h"
#include "broker/server_inner.h"
#include "broker/wal/wal.h"
#include "broker/unserved.h"
#include "halfmq_version.h"

uint64_t metrics_sum(const struct server *s, enum counter_id id)
{
    return counters_get(&s->counters, id) + counters_get(&s->webhook_counters, id) + net_counter(s->net, id);
}

static void metrics_sample(struct buf *out, const char *name, uint64_t v)
{
    buf_printf(out, "%s %llu\n", name, (unsigned long long)v);
}

static void metrics_counter(struct buf *out, const char *name, const char *help, uint64_t v)
{
    metrics_head(out, name, "counter", help);
    metrics_sample(out, name, v);
}

static void metrics_seconds(struct buf *out, const char *name, const char *type, const char *help, double v)
{
    metrics_head(out, name, type, help);
    buf_printf(out, "%s %.3f\n", name, v);
}

struct cell_metric {
    const char *name, *type, *help;
};

static const struct cell_metric cell_metrics[COUNTER_COUNT] = {
#define COUNTER(id, name, type, help) [COUNTER_##id] = {name, type, help},
#include "broker/base/counters.def"
#undef COUNTER
};

static void metrics_write_cells(const struct server *s, struct buf *out)
{
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        metrics_head(out, cell_metrics[i].name, cell_metrics[i].type, cell_metrics[i].help);
        metrics_sample(out, cell_metrics[i].name, metrics_sum(s, (enum counter_id)i));
    }
}

static void metrics_write_errors(const struct server *s, struct buf *out)
{
    metrics_head(out, "halfmq_errors_total", "counter", "Error replies, by code.");
    for (unsigned code = ST_OK + 1; code < ST_WIRE_COUNT; code++) {
        buf_put_str(out, "halfmq_errors_total{");
        uint64_t n = counters_get_error(&s->counters, (enum status)code) + net_errors(s->net, (enum status)code);
        metrics_label(out, "code", slice_str(status_code((enum status)code)));
        buf_printf(out, "} %llu\n", (unsigned long long)n);
    }
}

struct tally_metric {
    const char *name, *type, *help;
    size_t offset;
};

/* tally.messages_out is left out: delivered messages are counted by the loops, where their bytes are read. */
static const struct tally_metric tally_metrics[] = {
#define TALLY(field, name, type, help) {name, type, help, offsetof(struct tally, field)}
    TALLY(messages_in, "halfmq_messages_in_total", "counter", "Messages stored in topics."),
    TALLY(bytes_in, "halfmq_bytes_in_total", "counter", "Body bytes stored in topics."),
    TALLY(messages_acked, "halfmq_messages_acked_total", "counter", "Messages acknowledged."),
    TALLY(messages_nacked, "halfmq_messages_nacked_total", "counter", "Messages requeued by NACK."),
    TALLY(messages_dead, "halfmq_messages_dead_total", "counter", "Messages moved to the dead letters."),
    TALLY(messages_skipped, "halfmq_messages_skipped_total", "counter",
          "Messages that a group was not delivered, because they are damaged."),
    TALLY(leases_expired, "halfmq_leases_expired_total", "counter",
          "Messages whose lease expired before they were acknowledged."),
    TALLY(halfs, "halfmq_half_messages_total", "counter", "Half messages stored."),
    TALLY(committed, "halfmq_transactions_committed_total", "counter", "Transactions committed."),
    TALLY(rolledback, "halfmq_transactions_rolledback_total", "counter", "Transactions rolled back."),
    TALLY(conflicts, "halfmq_transactions_conflicts_total", "counter",
          "Decisions refused because the transaction was already decided the other way."),
    TALLY(checks_asked, "halfmq_checks_asked_total", "counter",
          "Check-backs asked, without those that no member received."),
    TALLY(dedup_hits, "halfmq_dedup_hits_total", "counter",
          "Messages not stored again because their DEDUP id was known."),
    TALLY(delayed_expired, "halfmq_delayed_expired_total", "counter",
          "Delayed messages dropped because their TTL ran out before they were due."),
    TALLY(dead_expired, "halfmq_dead_expired_total", "counter",
          "Messages given up whose TTL had passed, so that they did not become dead letters."),
    TALLY(messages_removed, "halfmq_messages_removed_total", "counter",
          "Messages deleted by RETENTION and MAXBYTES."),
    TALLY(bytes_removed, "halfmq_bytes_removed_total", "counter",
          "Bytes of the messages deleted by RETENTION and MAXBYTES."),
    TALLY(timers_postponed, "halfmq_timers_postponed_total", "counter",
          "What was due by time, could not be done and is tried again later."),
    TALLY(pending, "halfmq_transactions_pending", "gauge", "Transactions not decided yet."),
    TALLY(parked, "halfmq_transactions_parked", "gauge", "Parked transactions: a person has to decide them."),
    TALLY(delayed, "halfmq_delayed_messages", "gauge", "Delayed messages that are not due yet."),
#undef TALLY
};

static void metrics_write_tally(const struct tally *t, struct buf *out)
{
    for (size_t i = 0; i < sizeof tally_metrics / sizeof *tally_metrics; i++) {
        const struct tally_metric *m = &tally_metrics[i];
        uint64_t v;
        memcpy(&v, (const char *)t + m->offset, sizeof v);
        metrics_head(out, m->name, m->type, m->help);
        metrics_sample(out, m->name, v);
    }
}

/* counts holds each bucket alone; the format wants each bucket to include those below it. */
static void metrics_histogram(struct buf *out, const char *name, const char *help, const uint64_t *counts,
                              double (*bound)(unsigned i), double sum)
{
    uint64_t so_far = 0;
    metrics_head(out, name, "histogram", help);
    for (unsigned i = 0; i < JOURNAL_BUCKETS; i++) {
        so_far += counts[i];
        if (i + 1 < JOURNAL_BUCKETS)
            buf_printf(out, "%s_bucket{le=\"%.9g\"} %llu\n", name, bound(i),
                       (unsigned long long)so_far);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)so_far);
    buf_printf(out, "%s_sum %.9g\n%s_count %llu\n", name, sum, name, (unsigned long long)so_far);
}

static double metrics_group_bound(unsigned i)
{
    return (double)(UINT64_C(1) << i);
}

static void metrics_write_journal(const struct journal_stats *j, struct buf *out)
{
    metrics_counter(out, "halfmq_journal_groups_total", "Commit groups written.", j->groups);
    metrics_counter(out, "halfmq_journal_commands_total", "Commands written in commit groups.", j->commands);
    metrics_counter(out, "halfmq_journal_syncs_total", "Syncs (fsync) of the write-ahead log.", j->syncs);
    metrics_gauge(out, "halfmq_journal_pending_commands", "Commands that wait to be written.",
                  (int64_t)j->pending);
    metrics_gauge(out, "halfmq_journal_pending_bytes", "Bytes of the commands that wait to be written.",
                  (int64_t)j->pending_bytes);
    metrics_histogram(out, "halfmq_journal_sync_seconds", "Time that a write and its sync took.",
                      j->sync_buckets, journal_sync_bound_s, (double)j->sync_ns_total / 1e9);
    metrics_histogram(out, "halfmq_journal_group_commands", "Commands in one commit group.", j->group_buckets,
                      metrics_group_bound, (double)j->group_commands_total);
    metrics_gauge(out, "halfmq_disk_full", "1 while writes are refused because the disk is full.", j->disk_full);
}

static void metrics_write_unserved(struct server *s, struct view *view, struct buf *out)
{
    uint64_t n = 0;
    char names[UNSERVED_NAMES_MAX];
    if (!unserved_find(s->unserved, view, &n, names))
        out->failed = true;
    metrics_gauge(out, "halfmq_producer_groups_unserved",
                  "Producer groups that have a check-back due and no member to ask.", (int64_t)n);
}

static void metrics_write_stored(struct server *s, struct buf *out)
{
    struct view *view = journal_view(s->journal, NULL);
    if (!view) {
        out->failed = true;
        return;
    }
    metrics_write_unserved(s, view, out);
    view_close(view);
}

static void metrics_write_process(const struct server *s, struct buf *out)
{
    struct process_figures f;
    process_figures(&f);
    metrics_head(out, "halfmq_build_info", "gauge", "Always 1; the label tells the version.");
    buf_put_str(out, "halfmq_build_info{version=\"" HALFMQ_VERSION "\"} 1\n");
    metrics_gauge(out, "halfmq_disk_free_bytes", "Free bytes on the disk of the data folder.",
                  process_disk_free(settings_text(s->settings, SET_data)));
    struct wal_figures wal;
    wal_figures(s->wal, &wal);
    metrics_gauge(out, "halfmq_wal_files", "Files of the write-ahead log.", (int64_t)wal.segments);
    metrics_gauge(out, "halfmq_wal_bytes", "Bytes of those, used or spare.", (int64_t)wal.bytes);
    metrics_gauge(out, "halfmq_memory_budget_bytes", "The setting memory.", settings_num(s->settings, SET_memory));
    metrics_gauge(out, "halfmq_store_memory_bytes", "Memory that the store holds.",
                  (int64_t)store_memory(s->store));
    metrics_gauge(out, "halfmq_damaged_records",
                  "Records, and blocks of rows, that were found damaged on disk since the start.",
                  (int64_t)store_damaged(s->store));
    metrics_gauge(out, "halfmq_connection_memory_bytes",
                  "Memory that connections hold: unfinished requests, unread replies, waits, subscriptions.",
                  (int64_t)net_memory(s->net));
    int64_t expires_s = atomic_load(&s->tls.expires_s);
    if (expires_s)
        metrics_gauge(out, "halfmq_tls_certificate_expiry_timestamp_seconds",
                      "When the certificate of the broker expires, Unix time.", expires_s);
    metrics_seconds(out, "process_start_time_seconds", "gauge", "When the process started, Unix time.",
                    (double)s->started_ms / 1000.0);
    metrics_seconds(out, "process_cpu_seconds_total", "counter", "User and system time used.", f.cpu_seconds);
    metrics_gauge(out, "process_resident_memory_bytes", "Resident memory.", f.resident_bytes);
    metrics_gauge(out, "process_virtual_memory_bytes", "Virtual memory.", f.virtual_bytes);
    metrics_gauge(out, "process_open_fds", "Open file descriptors.", f.open_fds);
    metrics_gauge(out, "process_max_fds", "Most file descriptors that may be open.", f.max_fds);
}

void metrics_write(struct server *s, struct buf *out)
{
    struct journal_stats stats;
    journal_stats(s->journal, &stats);
    metrics_write_cells(s, out);
    metrics_write_errors(s, out);
    metrics_write_tally(&stats.tally, out);
    metrics_write_journal(&stats, out);
    group_metrics_write(s, out);
    metrics_write_stored(s, out);
    metrics_write_process(s, out);
}
