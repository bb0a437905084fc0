/*
 * server.h: owns the threads. Start in order, stop in reverse.
 *
 *   main thread   accept, signals, HTTP, ticker          (event_base of its own)
 *   loop 1..n     connections (broker/net/loop.h)            io_threads
 *   journal       its writer thread                      (broker/journal/journal.h)
 *   webhooks      check-backs to CHECKURLs               (broker/webhook/webhook.h)
 *
 *   start: config, log, lock and store, journal, loops, listeners, HTTP, "ready"
 *   stop:  not ready (readyz 503), no new connections, loops drain (answers go out, parked waits end
 *          empty), journal drains and syncs, store closes
 */
#ifndef HALFMQ_BROKER_SERVER_H
#define HALFMQ_BROKER_SERVER_H

#include <stdatomic.h>

#include "broker/settings/settings.h"
#include "broker/journal/journal.h"
#include "broker/metrics.h"
#include "storage/query.h"

struct loop;
struct members;
struct webhook;

struct server {
    struct settings *settings;
    struct state *state;
    struct wal *wal;
    struct journal *journal;
    struct members *members;
    struct webhook *webhook;
    struct loop **loops;
    uint32_t n_loops;
    atomic_bool ready;
    atomic_bool stopping;
    _Atomic uint64_t next_client_id;
    _Atomic uint32_t connections;
    _Atomic int64_t connections_max; /* the setting, or what the limit of open files leaves for clients */
    int64_t started_ms; /* wall clock */
    int port, http_port; /* as bound */
    struct counters counters; /* what the main thread counts */
    struct counters webhook_counters; /* ... and the thread of the webhooks */
    /* Asks the main thread to stop (SHUTDOWN). Any thread. */
    void (*request_stop)(struct server *s);
};

/* Runs until stopped; the process's exit code. */
int server_run(struct settings *settings);

/* INFO [section ...] as text lines. Any thread. view: what it reads the store in; NULL: what needs one is left out. */
void info_write(struct server *s, struct view *view, const struct slice *sections, size_t n, struct buf *out);

/* Applies a setting that was changed by CONFIG SET to those who keep a copy. Any thread. */
void server_setting_changed(struct server *s, enum setting_id id);

#endif
