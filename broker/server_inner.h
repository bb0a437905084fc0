/*
 * server_inner.h: the broker as the files of the roof see it: server, acceptor, ticker, http, info, metrics, unserved.
 * No room below includes this: what it needs is handed down to it at its start (net_env, serve_env, webhook_env).
 */
#ifndef HALFMQ_BROKER_SERVER_INNER_H
#define HALFMQ_BROKER_SERVER_INNER_H

#include <stdatomic.h>

#include "broker/settings/settings.h"
#include "broker/journal/journal.h"
#include "broker/base/counters.h"
#include "broker/tls/tls_server.h"
#include "storage/query.h"

struct backup;
struct scrubber;
struct members;
struct net;
struct acl_log;
struct auth;
struct entrance;
struct roster;
struct webhook;

struct server {
    struct settings *settings;
    struct tls_server tls;
    struct wal *wal;
    struct entrance *entrance; /* it made the next two */
    struct auth *auth;
    struct acl_log *acl_log;
    /* ---- NULL while the store is loaded ---- */
    struct store *store;
    struct state *state;
    struct journal *journal;
    struct roster *roster;
    struct members *members;
    struct webhook *webhook;
    struct net *net;
    struct group_metrics *group_metrics;
    struct unserved *unserved;
    struct backup *backup;
    struct scrubber *scrubber;
    atomic_bool ready;
    atomic_bool stopping;
    _Atomic int64_t connections_max; /* the setting, or what the limit of open files leaves for clients */
    int64_t disk_reserve_bytes; /* the setting, or what a flush needs if that is more */
    int64_t started_ms; /* wall clock */
    int port, http_port; /* as bound */
    struct counters counters; /* what the main thread counts */
    struct counters webhook_counters; /* ... and the thread of the webhooks */
};

#endif
