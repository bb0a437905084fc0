/*
 * server.c: the main thread: starts everything in order, waits, stops everything in reverse.
 *
 *   LOADING ── the store is loaded ──► RUNNING      HTTP is served from the start: /readyz is 503
 *   RUNNING ── SIGTERM, SIGINT, SHUTDOWN ──► DRAINING ── loops have ended ──► journal, store, exit 0
 *                                               └─ a second signal: exit at once (1); drain_timeout and STOP_MS are
 *                                                  over, whatever is held up: the same, with 0
 *
 * While loops drain, a helper thread waits for them, so that the main thread goes on answering
 * /readyz (503) and sees the second signal.
 *
 * If the store cannot write, the thread that finds out ends the process (exit 70): nothing of that group is
 * acknowledged, and the next start recovers.
 */
#include "broker/server.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/acceptor.h"
#include "broker/advancer.h"
#include "broker/certificates.h"
#include "broker/backup/backup.h"
#include "broker/backup/backup_restore.h"
#include "broker/base/clock.h"
#include "broker/base/deadline.h"
#include "broker/base/folder.h"
#include "broker/entrance.h"
#include "broker/group_metrics.h"
#include "broker/http.h"
#include "broker/info.h"
#include "broker/base/heap.h"
#include "broker/base/log.h"
#include "broker/base/spare_memory.h"
#include "broker/scrubber.h"
#include "broker/serve/serve.h"
#include "broker/reclaim.h"
#include "broker/server_inner.h"
#include "broker/access/roster.h"
#include "broker/checks/members.h"
#include "broker/base/process.h"
#include "broker/base/reserve.h"
#include "broker/base/socket_unix.h"
#include "broker/base/store_checksum.h"
#include "broker/base/store_remove.h"
#include "broker/base/store_write.h"
#include "broker/base/tables.h"
#include "broker/ticker.h"
#include "broker/uncompacted.h"
#include "broker/unserved.h"
#include "broker/wal/wal.h"
#include "broker/loading.h"
#include "broker/webhook/webhook.h"

#define EXIT_STORE_FAILED 70
#define START_DISK_BYTES MIB(1) /* less free disk than this, and RocksDB may not even be able to open its files */
#define PENDING_COMMANDS_MAX 100000
#define STOP_MS 5000 /* how much longer than drain_timeout a stop may take */
#define SPARE_FDS (1024 + WEBHOOK_CALLS_MAX) /* the store's files, HTTP, and what else is not a client */
#define FEW_FDS 256 /* the store and the log need most of so few */

enum { SIGNAL_TERM, SIGNAL_INT, SIGNAL_HUP, SIGNALS };

struct main_thread {
    struct server server; /* first: a struct server * is cast to this */
    struct event_base *base;
    struct event *signals[SIGNALS];
    struct event *stop;    /* activated by any thread to begin the stop */
    struct event *drained; /* activated by the helper when all loops have ended */
    struct event *opened;  /* activated when the store is loaded, or cannot be */
    struct loading *loading; /* NULL: not loading (any more) */
    struct sockets sockets, http_sockets;
    const char *unix_path; /* of one of the sockets, which is to be deleted; NULL: there is none */
    struct acceptor *acceptor;
    struct http *http;
    struct ticker *ticker;
    struct reclaim *reclaim;
    struct advancer *advancer;
    struct deadline *stop_deadline; /* NULL: not stopping */
    pthread_t helper;
    bool helper_runs;
    int lock_fd;
    bool failed;    /* the start failed; err says why */
    bool unflushed; /* the store was not closed: end by _exit */
    char addr[SOCKET_TEXT_MAX], http_addr[SOCKET_TEXT_MAX];
    char err[1024];
};

/* Of the setting `memory`, half is for the store's caches and buffers. What waits for the journal gets a quarter
 * (below); the last quarter is for connections and their replies. */
static size_t server_store_bytes(const struct settings *c)
{
    return (size_t)settings_num(c, SET_memory) / 2;
}

/* How much room a flush may need: the store's write buffers are a quarter of its memory. */
static int64_t server_flush_bytes(const struct settings *c)
{
    return (int64_t)server_store_bytes(c) / 2;
}

static int64_t server_reserve_bytes(const struct settings *c)
{
    int64_t wanted = settings_num(c, SET_disk_reserve), least = server_flush_bytes(c);
    return wanted > least ? wanted : least;
}

/* At least two of the largest messages, with what their entries take beside them. */
static size_t server_pending_bytes(const struct settings *c)
{
    size_t share = (size_t)settings_num(c, SET_memory) / 4;
    size_t least = 2 * (size_t)settings_num(c, SET_max_message_bytes) + KIB(64);
    return share > least ? share : least;
}

/* A COMMIT has all messages of its transaction in memory, more than once: no more than a request may have, but one
 * message of any size is a transaction. */
static int64_t server_txn_bytes(const struct settings *c)
{
    int64_t share = settings_num(c, SET_memory) / 3;
    int64_t least = settings_num(c, SET_max_message_bytes) + MESSAGE_OVERHEAD_MAX;
    int64_t most = share > least ? share : least;
    return most < TXN_BYTES_MAX ? most : TXN_BYTES_MAX;
}

static struct policy server_policy_of(const struct settings *c)
{
    return (struct policy){
        .dedup_window_ms = settings_num(c, SET_dedup_window),
        .txn_outcome_retention_ms = settings_num(c, SET_txn_outcome_retention),
        .txn_timeout_ms = settings_num(c, SET_txn_timeout),
        .checkin_ms = settings_num(c, SET_checkin),
        .check_every_ms = settings_num(c, SET_check_every),
        .check_max = (uint32_t)settings_num(c, SET_check_max),
        .txn_bytes = server_txn_bytes(c),
        .node = (uint32_t)settings_num(c, SET_node),
        .auto_create_topics = settings_num(c, SET_auto_create_topics) != 0,
        .auto_create_groups = settings_num(c, SET_auto_create_groups) != 0,
    };
}

/* In the order of the words in settings.def. */
static enum fsync_mode server_fsync_of(const struct settings *c)
{
    static const enum fsync_mode modes[] = {FSYNC_ALWAYS, FSYNC_INTERVAL, FSYNC_NEVER};
    return modes[settings_num(c, SET_fsync)];
}

/* Leaves descriptors for the store, which stops the broker when it cannot open a file. */
static void server_set_connections_max(struct server *s)
{
    int64_t wanted = settings_num(s->settings, SET_max_connections);
    int64_t limit = process_raise_fds(wanted + SPARE_FDS);
    int64_t left = limit > 2 * SPARE_FDS ? limit - SPARE_FDS : limit > FEW_FDS ? limit / 2 : limit / 8;
    atomic_store(&s->connections_max, wanted < left ? wanted : left);
    if (left < wanted)
        log_event(LOG_INFO, "fewer than max_connections are accepted: the limit of open files is too low",
                  " connections=%lld max_connections=%lld open_files=%lld hint=%s", (long long)left,
                  (long long)wanted, (long long)limit, "\"raise ulimit -n\"");
}

/* ---- called by sessions (serve_env), on any thread ---- */

static bool server_settings_fit(void *broker, const struct setting_change *changes, size_t n, char *err, size_t err_size)
{
    struct server *s = broker;
    return !certificates_concern(changes, n) || certificates_fit(s->settings, changes, n, err, err_size);
}

static void server_setting_changed(struct server *s, enum setting_id id)
{
    if (id == SET_log_level)
        settings_apply_log_level(s->settings);
    if (id == SET_fsync && server_fsync_of(s->settings) == FSYNC_NEVER)
        log_text(LOG_WARN, "fsync is never now: a power cut loses what was acknowledged");
    if (id == SET_fsync || id == SET_fsync_interval)
        journal_set_fsync(s->journal, server_fsync_of(s->settings), settings_num(s->settings, SET_fsync_interval));
    if (id == SET_max_connections)
        server_set_connections_max(s);
}

static void server_settings_changed(void *broker, const struct setting_change *changes, size_t n)
{
    struct server *s = broker;
    for (size_t i = 0; i < n; i++)
        server_setting_changed(s, changes[i].id);
    if (certificates_concern(changes, n))
        certificates_reload(s);
    struct policy policy = server_policy_of(s->settings);
    journal_set_policy(s->journal, &policy);
}

static void server_request_stop(void *broker)
{
    event_active(((struct main_thread *)broker)->stop, EV_TIMEOUT, 0);
}

static bool server_backup(void *broker, struct entry *e, const char **ret_text)
{
    return backup_submit(((struct server *)broker)->backup, e, ret_text);
}

static void server_write_info(void *broker, struct view *view, const struct slice *sections, size_t n,
                              struct buf *out)
{
    info_write(broker, view, sections, n, out);
}

/* ---- called by the journal and by libevent ---- */

/* Any thread. Exits without closing: a store that failed must not be used any more, not even to close it. */
static void server_on_fatal(const char *text)
{
    char quoted[1024];
    bool damaged = uncompacted_set(text);
    log_event(LOG_ERROR, "the store cannot write, the broker stops at once", " reason=%s hint=%s",
              log_quote(text, quoted, sizeof quoted),
              damaged ? "\"a file of the store is damaged; started again, the broker serves what is readable\""
                      : "\"no failed write was acknowledged; check the disk, then start again\"");
    _exit(EXIT_STORE_FAILED);
}

/* RocksDB is built with assertions, of which some fail where a write fails (on a full disk, for one). Log lines need a
 * lock, which the thread may hold, so this one is written by hand. */
static void server_on_abort(int number)
{
    static const char text[] =
        "level=error msg=\"an assertion failed, the broker stops at once\" hint=\"the line above says which; no failed "
        "write was acknowledged; is the disk full or broken? then start again\"\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EXIT_STORE_FAILED);
    _exit(EXIT_STORE_FAILED);
}

static void server_on_libevent_log(int severity, const char *text)
{
    char quoted[512];
    log_event(severity >= EVENT_LOG_WARN ? LOG_WARN : LOG_DEBUG, "libevent", " text=%s",
              log_quote(text, quoted, sizeof quoted));
}

/* libevent cannot make what every thread's loop needs, and would call exit; but RocksDB's threads are there. */
static void server_on_libevent_fatal(int failure)
{
    int64_t limit = process_fds_used_up();
    (void)failure;
    log_event(LOG_ERROR, "cannot run", " reason=%s open_files_max=%lld",
              limit > 0 ? "\"too few open files are allowed: raise ulimit -n\""
                        : "\"libevent cannot make an event loop; the line above says why\"",
              (long long)limit);
    _exit(EXIT_FAILURE);
}

static bool server_failed(struct main_thread *m, const char *text)
{
    snprintf(m->err, sizeof m->err, "%s", text);
    return false;
}

/* ---- the end ---- */

static void *server_wait_for_loops(void *arg)
{
    struct main_thread *m = arg;
    net_join(m->server.net);
    event_active(m->drained, EV_TIMEOUT, 0);
    return NULL;
}

/* Something holds up the stop: a command that takes long, or a disk that does not answer. What was acknowledged is in
 * the log, so this is as safe as a SIGKILL. The log's own lock may be held by a thread that cannot write. */
static void server_on_stop_late(void)
{
    static const char text[] = "level=warn msg=\"the stop takes too long, the broker stops at once\" "
                               "hint=\"what was acknowledged is in the log, the next start replays it\"\n";
    _exit(write(STDERR_FILENO, text, sizeof text - 1) < 0 ? EXIT_STORE_FAILED : 0);
}

static void server_begin_stop(struct main_thread *m, const char *why)
{
    struct server *s = &m->server;
    if (atomic_exchange(&s->stopping, true))
        return;
    atomic_store(&s->ready, false);
    m->stop_deadline = deadline_new(settings_num(s->settings, SET_drain_timeout) + STOP_MS, server_on_stop_late);
    if (!m->stop_deadline)
        log_text(LOG_WARN, "no thread to bound the stop");
    log_event(LOG_INFO, "stopping", " reason=%s connections=%u", why,
              s->net ? (unsigned)net_connections(s->net) : 0);
    if (m->loading) { /* server_on_opened goes on */
        wal_stop_replay(s->wal);
        return;
    }
    acceptor_free(m->acceptor);
    m->acceptor = NULL;
    net_drain(s->net, settings_num(s->settings, SET_drain_timeout));
    entrance_stop(s->entrance);
    webhook_stop(s->webhook);
    backup_stop(s->backup);
    m->helper_runs = pthread_create(&m->helper, NULL, server_wait_for_loops, m) == 0;
    if (!m->helper_runs)
        server_wait_for_loops(m);
}

static void server_on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    server_begin_stop(arg, "SHUTDOWN");
}

static void server_on_signal(evutil_socket_t number, short what, void *arg)
{
    struct main_thread *m = arg;
    (void)what;
    if (atomic_load(&m->server.stopping)) {
        log_text(LOG_WARN, "second signal, exiting at once");
        _exit(1);
    }
    server_begin_stop(m, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* Files that were replaced are read again. */
static void server_on_hangup(evutil_socket_t number, short what, void *arg)
{
    struct main_thread *m = arg;
    (void)number, (void)what;
    log_text(LOG_INFO, "SIGHUP: reading files again");
    certificates_reload(&m->server);
    entrance_reload(m->server.entrance);
}

static void server_on_drained(evutil_socket_t fd, short what, void *arg)
{
    struct main_thread *m = arg;
    (void)fd;
    (void)what;
    event_base_loopbreak(m->base);
}

static bool server_start_events(struct main_thread *m)
{
    assert(store_checksum_is_right());
    heap_setup((size_t)settings_num(m->server.settings, SET_memory));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGABRT, server_on_abort);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is a failed write then, and not a death without a log line */
    if (!spare_memory_begin())
        return server_failed(m, "no memory");
    event_set_log_callback(server_on_libevent_log);
    event_set_fatal_callback(server_on_libevent_fatal);
    if (evthread_use_pthreads() != 0)
        return server_failed(m, "cannot set up threads");
    m->base = event_base_new();
    if (!m->base)
        return server_failed(m, "cannot set up the event loop");
    m->stop = event_new(m->base, -1, 0, server_on_stop, m);
    m->drained = event_new(m->base, -1, 0, server_on_drained, m);
    m->signals[SIGNAL_TERM] = evsignal_new(m->base, SIGTERM, server_on_signal, m);
    m->signals[SIGNAL_INT] = evsignal_new(m->base, SIGINT, server_on_signal, m);
    m->signals[SIGNAL_HUP] = evsignal_new(m->base, SIGHUP, server_on_hangup, m);
    if (!m->stop || !m->drained)
        return server_failed(m, "no memory for the event loop");
    for (unsigned i = 0; i < SIGNALS; i++) {
        if (!m->signals[i] || event_add(m->signals[i], NULL) != 0)
            return server_failed(m, "cannot watch for signals");
    }
    return true;
}

/* What RocksDB's writes and deletions need. Without a reserve the broker runs as well; then nothing can be deleted where others
 * leave no room. */
static void server_prepare_disk(const struct settings *c)
{
    const char *data = settings_text(c, SET_data);
    char quoted[128];
    if (!reserve_open(data))
        log_event(LOG_WARN, "there is no room to keep a reserve on the disk", " reason=%s",
                  log_quote(strerror(errno), quoted, sizeof quoted));
    if (!store_write_begin(data))
        log_text(LOG_WARN, "the path of the data folder is too long for the store to wait for room on a full disk");
    if (!store_remove_begin())
        log_text(LOG_WARN, "no thread gives removed files back to the disk: while the store removes some, writes may wait");
}

/* One message of the largest size takes about five times its size while it is read, applied and written. */
static void server_say_sizes(const struct settings *c)
{
    int64_t most = settings_num(c, SET_max_message_bytes), memory = settings_num(c, SET_memory);
    if (most > memory / 7)
        log_event(LOG_WARN, "a message of max_message_bytes may take the broker over its memory for a moment",
                  " max_message_bytes=%lld memory=%lld hint=\"raise memory to %lld, or allow smaller messages\"",
                  (long long)most, (long long)memory, (long long)most * 8);
}

/* The Unix socket, where the settings name one. */
static bool server_open_unix(struct main_thread *m)
{
    const char *path = settings_text(m->server.settings, SET_unix_socket);
    m->unix_path = path[0] && socket_unix_open(path, &m->sockets, m->err, sizeof m->err) == ST_OK ? path : NULL;
    return !path[0] || m->unix_path;
}

/* What needs no store: nobody else may use the data folder, and the addresses are free. */
static bool server_start_first(struct main_thread *m)
{
    struct server *s = &m->server;
    const char *data = settings_text(s->settings, SET_data), *host = settings_text(s->settings, SET_bind);
    if (!certificates_load(s, m->err, sizeof m->err) || folder_lock(data, &m->lock_fd, m->err, sizeof m->err) != ST_OK ||
        backup_restore_unfinished(data, m->err, sizeof m->err))
        return false;
    server_say_sizes(s->settings);
    server_prepare_disk(s->settings);
    if (!process_disk_has(data, START_DISK_BYTES - reserve_held())) {
        snprintf(m->err, sizeof m->err, "the disk of the data folder is full (%lld bytes free): make room for 1 MiB at least",
                 (long long)process_disk_free(data));
        return false;
    }
    return sockets_open(host, (int)settings_num(s->settings, SET_port), "port", &m->sockets, m->err, sizeof m->err) ==
               ST_OK &&
           server_open_unix(m) &&
           sockets_open(host, (int)settings_num(s->settings, SET_http_port), "http_port", &m->http_sockets, m->err,
                        sizeof m->err) == ST_OK &&
           sockets_listen(&m->http_sockets, "http_port", m->err, sizeof m->err) == ST_OK;
}

/* Whoever waits for the broker can see how far it is from here on. */
static bool server_start_http(struct main_thread *m)
{
    struct server *s = &m->server;
    char data[PATH_MAX];
    s->port = m->sockets.port;
    s->http_port = m->http_sockets.port;
    memcpy(m->addr, m->sockets.text, sizeof m->addr);
    memcpy(m->http_addr, m->http_sockets.text, sizeof m->http_addr);
    m->http = http_new(s, m->base, &m->http_sockets);
    if (!m->http)
        return server_failed(m, "no memory for the HTTP server");
    log_event(LOG_INFO, "starting", " http=%s data=%s", m->http_addr,
              log_quote(settings_text(s->settings, SET_data), data, sizeof data));
    return true;
}

static bool server_start_journal(struct main_thread *m)
{
    const struct settings *c = m->server.settings;
    const struct journal_options opt = {
        .store = m->server.store,
        .state = m->server.state,
        .fsync = server_fsync_of(c),
        .fsync_interval_ms = settings_num(c, SET_fsync_interval),
        .pending_bytes_max = server_pending_bytes(c),
        .pending_max = PENDING_COMMANDS_MAX,
        .disk_reserve_bytes = m->server.disk_reserve_bytes,
        .data_path = settings_text(c, SET_data),
        .fatal = server_on_fatal,
    };
    struct policy policy = server_policy_of(c);
    if (journal_new(&opt, &m->server.journal) != ST_OK)
        return server_failed(m, "cannot start the journal: no memory or no thread");
    journal_set_policy(m->server.journal, &policy);
    m->ticker = ticker_new(&m->server, m->base);
    if (!m->ticker)
        return server_failed(m, "no memory for the ticker");
    m->advancer = advancer_new(&m->server);
    if (!m->advancer)
        return server_failed(m, "no memory for what moves groups with filters on");
    m->server.group_metrics = group_metrics_new(&m->server, m->base);
    if (!m->server.group_metrics)
        return server_failed(m, "no memory for the metrics of groups");
    m->server.unserved = unserved_new(&m->server, m->base);
    if (!m->server.unserved)
        return server_failed(m, "no memory for the figures of producer groups");
    m->server.roster = roster_new(m->server.journal);
    if (!m->server.roster)
        return server_failed(m, "no memory for the users");
    entrance_register(m->server.entrance);
    m->server.members = members_new();
    if (!m->server.members)
        return server_failed(m, "no memory for the members of producer groups");
    const struct webhook_env env = {.settings = m->server.settings,
                                    .journal = m->server.journal,
                                    .members = m->server.members,
                                    .counters = &m->server.webhook_counters};
    m->server.webhook = webhook_new(&env, m->err, sizeof m->err);
    return m->server.webhook != NULL;
}

static bool server_start_backups(struct main_thread *m)
{
    struct server *s = &m->server;
    const struct backup_options opt = {.data = settings_text(s->settings, SET_data),
                                       .dir = settings_text(s->settings, SET_backup_dir),
                                       .store = s->store,
                                       .wal = s->wal,
                                       .disk_reserve_bytes = s->disk_reserve_bytes};
    s->backup = backup_new(&opt);
    return s->backup || server_failed(m, "no memory for backups, or backup_dir is too long");
}

static bool server_start_loops(struct main_thread *m)
{
    struct server *s = &m->server;
    struct serve_env serve = {.roster = s->roster,
                              .auth = s->auth,
                              .acl_log = s->acl_log,
                              .members = s->members,
                              .webhook = s->webhook,
                              .broker = m,
                              .stop = server_request_stop,
                              .settings_fit = server_settings_fit,
                              .settings_changed = server_settings_changed,
                              .backup = server_backup,
                              .write_info = server_write_info};
    const struct net_env env = {.settings = s->settings,
                                .journal = s->journal,
                                .sessions = &serve_sessions,
                                .loops = &serve_loops,
                                .arg = &serve,
                                .tls = &s->tls,
                                .last_client = state_holders(s->state)};
    s->net = serve.net = net_new(&env);
    if (!s->net)
        return server_failed(m, "no memory for the I/O threads");
    if (net_start(s->net, (uint32_t)settings_num(s->settings, SET_io_threads)))
        return true;
    snprintf(m->err, sizeof m->err, "cannot start an I/O thread: %s: lower --io_threads", strerror(errno));
    return false;
}

static bool server_start_listening(struct main_thread *m)
{
    if (sockets_listen(&m->sockets, "port", m->err, sizeof m->err) != ST_OK)
        return false;
    m->acceptor = acceptor_new(&m->server, m->base, &m->sockets);
    return m->acceptor ? true : server_failed(m, "no memory to accept connections");
}

/* Scripts wait for this line, so it is written whatever the log level is. */
static void server_say_ready(const struct main_thread *m)
{
    char data[PATH_MAX];
    log_set_level(LOG_INFO);
    char path[256] = "";
    if (m->unix_path)
        snprintf(path, sizeof path, " unix=%s", log_quote(m->unix_path, data, sizeof data));
    log_event(LOG_INFO, "ready", " addr=%s%s http=%s data=%s pid=%ld", m->addr, path, m->http_addr,
              log_quote(settings_text(m->server.settings, SET_data), data, sizeof data), (long)getpid());
    settings_apply_log_level(m->server.settings);
}

/* From the store to "ready". */
static bool server_go_on(struct main_thread *m)
{
    if (!server_start_journal(m) || !entrance_set_password(m->server.entrance, m->err, sizeof m->err) ||
        !server_start_backups(m) || !server_start_loops(m) || !server_start_listening(m))
        return false;
    if (!webhook_start(m->server.webhook))
        return server_failed(m, "cannot start the webhooks: no thread");
    m->reclaim = reclaim_new(&m->server);
    if (!m->reclaim)
        return server_failed(m, "cannot start what gives disk space back: no memory or no thread");
    m->server.scrubber = scrubber_new(&m->server);
    if (!m->server.scrubber)
        return server_failed(m, "cannot start what proves the stored records: no memory or no thread");
    if (!advancer_start(m->advancer))
        return server_failed(m, "cannot start what moves groups with filters on: no thread");
    store_write_waits(true);
    ticker_start(m->ticker);
    heap_trim();
    tables_give_back();
    atomic_store(&m->server.ready, true);
    server_say_ready(m);
    return true;
}

/* Takes over what was loaded. */
static bool server_take_loaded(struct main_thread *m)
{
    struct loaded d;
    loading_end(m->loading, &d);
    m->loading = NULL;
    m->server.store = d.store;
    m->server.state = d.state;
    return d.good || server_failed(m, d.err);
}

static void server_on_opened(evutil_socket_t fd, short what, void *arg)
{
    struct main_thread *m = arg;
    (void)fd;
    (void)what;
    bool good = server_take_loaded(m);
    if (atomic_load(&m->server.stopping)) {
        event_base_loopbreak(m->base);
    } else if (!good || !server_go_on(m)) {
        m->failed = true;
        event_base_loopbreak(m->base);
    }
}

static bool server_start_loading(struct main_thread *m)
{
    struct server *s = &m->server;
    const char *data = settings_text(s->settings, SET_data);
    const struct loading_options opt = {.data = data,
                                        .memory_bytes = (size_t)settings_num(s->settings, SET_memory),
                                        .store_bytes = server_store_bytes(s->settings),
                                        .replay_max = (size_t)settings_num(s->settings, SET_replay_max),
                                        .salvage = settings_action(s->settings) == ACTION_SALVAGE};
    uncompacted_begin(data);
    m->opened = event_new(m->base, -1, 0, server_on_opened, m);
    if (!m->opened)
        return server_failed(m, "no memory for the event loop");
    m->loading = loading_start(&opt, m->opened, m->err, sizeof m->err);
    if (!m->loading)
        return false;
    s->wal = loading_wal(m->loading);
    return true;
}

/* First of all, since what is wrong in the settings is told before anything is opened. */
static bool server_start_entrance(struct main_thread *m)
{
    m->server.entrance = entrance_new(&m->server, m->err, sizeof m->err);
    return m->server.entrance != NULL;
}

/* Up to where the main thread serves HTTP and waits for the store. */
static bool server_start(struct main_thread *m)
{
    server_set_connections_max(&m->server);
    return server_start_events(m) && server_start_entrance(m) && server_start_first(m) && server_start_http(m) && server_start_loading(m);
}

/* RocksDB writes its buffers to the disk when it is closed. Where there is no room for them it is not closed: the log
 * has what is in them, and the process ends by _exit, as RocksDB's threads are still there. stuck: a write of the store has
 * waited for room. */
static bool server_may_close_store(const struct server *s, bool stuck)
{
    const char *data = settings_text(s->settings, SET_data);
    int64_t held_bytes = s->store ? (int64_t)store_memory(s->store) : 0, most_bytes = server_flush_bytes(s->settings);
    int64_t needed_bytes = START_DISK_BYTES + (held_bytes < most_bytes ? held_bytes : most_bytes) - reserve_held();
    if (!s->store || (!stuck && process_disk_has(data, needed_bytes)))
        return true;
    log_event(LOG_WARN, "the disk is too full to flush the store; the next start replays the log", " free_bytes=%lld",
              (long long)process_disk_free(data));
    return false;
}

/* If the start failed half-way, the loops were not drained yet. */
static void server_stop_loops(struct main_thread *m)
{
    struct server *s = &m->server;
    if (m->helper_runs)
        pthread_join(m->helper, NULL);
    if (s->net && !atomic_load(&s->stopping)) {
        backup_stop(s->backup);
        net_drain(s->net, 0);
        entrance_stop(s->entrance);
        net_join(s->net);
    }
}

static void server_stop(struct main_thread *m)
{
    struct server *s = &m->server;
    /* The event loop has ended, so a signal would not be seen: let it end the process, as it does by default. */
    for (unsigned i = 0; i < SIGNALS; i++) {
        if (m->signals[i])
            event_free(m->signals[i]);
    }
    if (m->unix_path)
        socket_unix_remove(m->unix_path);
    acceptor_free(m->acceptor);
    if (m->loading) /* the event loop itself has failed */
        (void)server_take_loaded(m);
    server_stop_loops(m);
    if (m->ticker)
        ticker_stop(m->ticker);
    advancer_stop(m->advancer);
    if (s->webhook) {
        webhook_stop(s->webhook);
        webhook_join(s->webhook);
    }
    bool stuck = store_write_stuck();
    store_write_waits(false); /* whoever waits for such a write would not end */
    reclaim_free(m->reclaim);
    backup_free(s->backup);
    scrubber_free(s->scrubber);
    group_metrics_free(s->group_metrics);
    unserved_free(s->unserved);
    journal_free(s->journal);
    http_free(m->http);
    net_free(s->net);
    wal_rest(s->wal);
    state_drop(s->state);
    m->unflushed = !server_may_close_store(s, stuck);
    if (!m->unflushed) {
        store_close(s->store);
        wal_leave_note(s->wal);
        wal_close(s->wal);
    }
    store_remove_end();
    ticker_free(m->ticker);
    advancer_free(m->advancer);
    webhook_free(s->webhook);
    members_free(s->members);
    entrance_free(s->entrance);
    roster_free(s->roster);
    sockets_close(&m->sockets);
    sockets_close(&m->http_sockets);
    if (m->stop)
        event_free(m->stop);
    if (m->drained)
        event_free(m->drained);
    if (m->opened)
        event_free(m->opened);
    if (m->base)
        event_base_free(m->base);
    if (m->lock_fd >= 0)
        close(m->lock_fd);
    tls_server_fini(&s->tls);
}

/* What could not be made may have needed a descriptor, which libraries do not say. */
static void server_tell_fds(struct main_thread *m)
{
    int64_t limit = process_fds_used_up();
    size_t len = strlen(m->err);
    if (limit > 0)
        (void)snprintf(m->err + len, sizeof m->err - len, "; hardly any of the %lld open files that are allowed are left: raise ulimit -n",
                       (long long)limit);
}

int server_run(struct settings *settings)
{
    struct main_thread m = {.lock_fd = -1};
    m.server.settings = settings;
    m.server.started_ms = clock_wall_ms();
    m.server.disk_reserve_bytes = server_reserve_bytes(settings);
    umask(077); /* RocksDB's files, too */
    if (!tls_server_init(&m.server.tls)) {
        log_text(LOG_ERROR, "cannot run: there is no lock for the certificates");
        return 1;
    }
    settings_apply_log_level(settings);
    bool started = server_start(&m);
    if (started && event_base_dispatch(m.base) < 0)
        started = server_failed(&m, "the event loop failed");
    started = started && !m.failed;
    if (!started)
        server_tell_fds(&m);
    server_stop(&m);
    deadline_cancel(m.stop_deadline);
    char quoted[1200];
    if (started)
        log_text(LOG_INFO, "stopped");
    else
        log_event(LOG_ERROR, "cannot run", " reason=%s", log_quote(m.err, quoted, sizeof quoted));
    if (m.unflushed)
        _exit(started ? 0 : 1);
    return started ? 0 : 1;
}
