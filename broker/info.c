/*
 * info.c: writes INFO: `name:value` lines under `# Section` heads, as Redis clients parse them.
 *
 * To add a figure: a line in its section's function. To add a section: a function and a line in
 * `sections`.
 */
#include "broker/info.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/backup/backup.h"
#include "broker/scrubber.h"
#include "broker/server_inner.h"
#include "broker/base/clock.h"
#include "broker/base/process.h"
#include "broker/wal/wal.h"
#include "broker/metrics.h"
#include "broker/net/net.h"
#include "broker/unserved.h"
#include "halfmq_version.h"

struct info_facts {
    struct server *server;
    struct journal_stats journal;
    struct process_figures process;
    struct view *view; /* NULL: no memory for it */
};

static void info_number(struct buf *out, const char *name, uint64_t v)
{
    buf_printf(out, "%s:%llu\r\n", name, (unsigned long long)v);
}

/* A setting cannot break the format with a line break: settings hold no control bytes. */
static void info_setting(struct buf *out, const char *name, struct settings *c, enum setting_id id)
{
    buf_printf(out, "%s:", name);
    settings_put(c, id, out);
    buf_put_str(out, "\r\n");
}

static void info_put_server(const struct info_facts *f, struct buf *out)
{
    const struct server *s = f->server;
    int64_t up_ms = clock_wall_ms() - s->started_ms;
    buf_put_str(out, "version:" HALFMQ_VERSION "\r\n");
    info_number(out, "process_id", (uint64_t)getpid());
    info_number(out, "tcp_port", (uint64_t)s->port);
    info_number(out, "http_port", (uint64_t)s->http_port);
    info_number(out, "uptime_in_seconds", up_ms > 0 ? (uint64_t)up_ms / 1000 : 0);
    info_number(out, "io_threads", net_loops(s->net));
    info_number(out, "time_ms", (uint64_t)journal_now_ms(s->journal));
    int64_t expires_s = atomic_load(&s->tls.expires_s);
    info_number(out, "tls", expires_s != 0);
    if (expires_s)
        info_number(out, "tls_certificate_expires", (uint64_t)expires_s);
    info_setting(out, "data", s->settings, SET_data);
    info_setting(out, "fsync", s->settings, SET_fsync);
}

static void info_put_clients(const struct info_facts *f, struct buf *out)
{
    const struct server *s = f->server;
    info_number(out, "connected_clients", metrics_sum(s, COUNTER_CONNECTIONS));
    info_number(out, "maxclients", (uint64_t)atomic_load(&s->connections_max));
    info_number(out, "tls_clients", metrics_sum(s, COUNTER_TLS_CONNECTIONS));
    info_number(out, "waiters", metrics_sum(s, COUNTER_WAITERS));
    info_number(out, "subscribers", metrics_sum(s, COUNTER_SUBSCRIBERS));
    info_number(out, "streams", metrics_sum(s, COUNTER_STREAMS));
    info_number(out, "connections_accepted", metrics_sum(s, COUNTER_CONNECTIONS_TOTAL));
    info_number(out, "connections_refused", metrics_sum(s, COUNTER_CONNECTIONS_REFUSED));
}

static void info_put_memory(const struct info_facts *f, struct buf *out)
{
    info_number(out, "used_memory_rss", (uint64_t)f->process.resident_bytes);
    info_number(out, "memory_budget", (uint64_t)settings_num(f->server->settings, SET_memory));
    info_number(out, "store_memory", store_memory(f->server->store));
    info_number(out, "connection_memory", net_memory(f->server->net));
    info_number(out, "open_fds", (uint64_t)f->process.open_fds);
}

/* The bucket's upper bound under which a share of all syncs lies, us; 0 before the first. */
static double info_sync_quantile_us(const struct journal_stats *j, double share)
{
    uint64_t total = 0, so_far = 0;
    for (unsigned i = 0; i < JOURNAL_BUCKETS; i++)
        total += j->sync_buckets[i];
    for (unsigned i = 0; i < JOURNAL_BUCKETS && total > 0; i++) {
        so_far += j->sync_buckets[i];
        if ((double)so_far >= share * (double)total) {
            /* The last bucket has no upper bound: at least as long as the one before it. */
            unsigned bounded = i + 1 < JOURNAL_BUCKETS ? i : i - 1;
            return journal_sync_bound_s(bounded) * 1e6;
        }
    }
    return 0;
}

static void info_put_journal(const struct info_facts *f, struct buf *out)
{
    const struct journal_stats *j = &f->journal;
    info_number(out, "groups", j->groups);
    info_number(out, "commands", j->commands);
    info_number(out, "syncs", j->syncs);
    buf_printf(out, "average_group:%.2f\r\n",
               j->groups ? (double)j->group_commands_total / (double)j->groups : 0.0);
    buf_printf(out, "sync_p50_us:%.0f\r\n", info_sync_quantile_us(j, 0.5));
    buf_printf(out, "sync_p99_us:%.0f\r\n", info_sync_quantile_us(j, 0.99));
    info_number(out, "pending_commands", j->pending);
    info_number(out, "pending_bytes", j->pending_bytes);
}

static void info_put_stats(const struct info_facts *f, struct buf *out)
{
    const struct tally *t = &f->journal.tally;
    const struct server *s = f->server;
    info_number(out, "total_commands_processed", metrics_sum(s, COUNTER_COMMANDS));
    info_number(out, "total_net_input_bytes", metrics_sum(s, COUNTER_NET_IN));
    info_number(out, "total_net_output_bytes", metrics_sum(s, COUNTER_NET_OUT));
    info_number(out, "messages_in", t->messages_in);
    info_number(out, "bytes_in", t->bytes_in);
    info_number(out, "messages_out", metrics_sum(s, COUNTER_MESSAGES_OUT));
    info_number(out, "bytes_out", metrics_sum(s, COUNTER_BYTES_OUT));
    info_number(out, "messages_acked", t->messages_acked);
    info_number(out, "messages_nacked", t->messages_nacked);
    info_number(out, "messages_dead", t->messages_dead);
    info_number(out, "leases_expired", t->leases_expired);
    info_number(out, "dedup_hits", t->dedup_hits);
    info_number(out, "delayed_messages", t->delayed);
    info_number(out, "delayed_expired", t->delayed_expired);
    info_number(out, "dead_expired", t->dead_expired);
    info_number(out, "messages_removed", t->messages_removed);
    info_number(out, "bytes_removed", t->bytes_removed);
    info_number(out, "timers_postponed", t->timers_postponed);
    info_number(out, "protocol_errors", metrics_sum(s, COUNTER_PROTOCOL_ERRORS));
}

static void info_put_transactions(const struct info_facts *f, struct buf *out)
{
    const struct tally *t = &f->journal.tally;
    info_number(out, "pending", t->pending);
    info_number(out, "parked", t->parked);
    info_number(out, "halfs", t->halfs);
    info_number(out, "committed", t->committed);
    info_number(out, "rolledback", t->rolledback);
    info_number(out, "conflicts", t->conflicts);
    info_number(out, "checks_asked", t->checks_asked);
    info_number(out, "webhooks_down", metrics_sum(f->server, COUNTER_WEBHOOKS_DOWN));
    uint64_t unserved = 0;
    char names[UNSERVED_NAMES_MAX];
    if (!unserved_find(f->server->unserved, f->view, &unserved, names))
        return; /* no memory for a view: leave the figure out this time */
    info_number(out, "producer_groups_unserved", unserved);
    buf_printf(out, "unserved:%s\r\n", names);
}

static void info_put_disk(const struct info_facts *f, struct buf *out)
{
    int64_t free_bytes = process_disk_free(settings_text(f->server->settings, SET_data));
    info_number(out, "disk_free_bytes", (uint64_t)free_bytes);
    info_number(out, "disk_reserve_bytes", (uint64_t)settings_num(f->server->settings, SET_disk_reserve));
    info_number(out, "disk_full", f->journal.disk_full);
    struct wal_figures wal;
    wal_figures(f->server->wal, &wal);
    info_number(out, "wal_files", wal.segments);
    info_number(out, "wal_files_spare", wal.spare);
    info_number(out, "wal_bytes", wal.bytes);
    info_number(out, "wal_files_lost", wal.dropped);
}

static void info_put_persistence(const struct info_facts *f, struct buf *out)
{
    struct backup_figures b;
    struct scrubber_figures c;
    backup_figures(f->server->backup, &b);
    scrubber_figures(f->server->scrubber, &c);
    info_number(out, "damaged_records", store_damaged(f->server->store));
    info_setting(out, "scrub_interval", f->server->settings, SET_scrub_interval);
    info_number(out, "scrub_rounds", c.rounds);
    info_number(out, "scrub_records", c.records);
    info_number(out, "scrub_bytes", c.bytes);
    info_number(out, "scrub_last_time", (uint64_t)c.last_ms);
    info_number(out, "backup_in_progress", b.under_way);
    info_number(out, "backup_last_time", (uint64_t)b.last_ms);
    info_number(out, "backup_last_ms", (uint64_t)b.last_took_ms);
    buf_printf(out, "backup_last_status:%s\r\n", b.last_ms == 0 ? "none" : b.last_failed ? "err" : "ok");
}

struct section {
    const char *name;
    void (*put)(const struct info_facts *f, struct buf *out);
};

static const struct section sections_known[] = {
    {"Server", info_put_server}, {"Clients", info_put_clients}, {"Memory", info_put_memory},
    {"Journal", info_put_journal}, {"Stats", info_put_stats}, {"Transactions", info_put_transactions},
    {"Disk", info_put_disk}, {"Persistence", info_put_persistence},
};

static bool info_wanted(const char *section, const struct slice *names, size_t n)
{
    static const char *const all[] = {"all", "everything", "default"};
    for (size_t i = 0; i < n; i++) {
        if (slice_equal_nocase(names[i], slice_str(section)))
            return true;
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            if (slice_equal_nocase(names[i], slice_str(all[k])))
                return true;
        }
    }
    return n == 0;
}

void info_write(struct server *s, struct view *view, const struct slice *sections, size_t n, struct buf *out)
{
    struct info_facts f = {.server = s, .view = view};
    bool first = true;
    journal_stats(s->journal, &f.journal);
    process_figures(&f.process);
    for (size_t i = 0; i < sizeof sections_known / sizeof *sections_known; i++) {
        const struct section *known = &sections_known[i];
        if (!info_wanted(known->name, sections, n))
            continue;
        buf_printf(out, "%s# %s\r\n", first ? "" : "\r\n", known->name);
        known->put(&f, out);
        first = false;
    }
}
