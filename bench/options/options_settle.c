/*
 * options_settle.c: options that depend on one another: defaults that follow from other options, and combinations that
 * are refused.
 */
#include "bench/options/options_settle.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/base/units.h"
#include "bench/measure/series.h"
#include "bench/options/body.h"
#include "protocol/base/text.h"
#include "protocol/limits.h"

#define DURATION_DEFAULT_S 10
#define LEASE_VERIFY_S 3
#define CONNECTIONS_MAX 20000
#define INFLIGHT_MAX 1000000
#define THREADS_MAX SERIES_WORKERS_MAX
#define BATCH_ROOM_MAX (32u * 1024 * 1024)
#define RECORD_BYTES 64u /* around the messages, at most ... */
#define RECORD_MESSAGE_BYTES 32u /* ... and around each body */
#define CREDIT_MAX 100000 /* the broker's limit */
#define PARTS_TOTAL_MAX 64000000

static bool settle_within(const char *name, uint64_t v, uint64_t low, uint64_t high)
{
    if (v >= low && v <= high)
        return true;
    fprintf(stderr, "halfmq-bench: --%s must be %llu to %llu, not %llu\n", name,
            (unsigned long long)low, (unsigned long long)high, (unsigned long long)v);
    return false;
}

static bool settle_sane_name(const char *flag, const char *name)
{
    if (text_name_ok(slice_str(name), true))
        return true;
    fprintf(stderr, "halfmq-bench: --%s must be 1 to 127 of A-Z a-z 0-9 . _ -, not '%s'\n", flag,
            name);
    return false;
}

static bool settle_refuse(const char *sentence)
{
    fprintf(stderr, "halfmq-bench: %s\n", sentence);
    return false;
}

/* --of must name a load that search and redis can run. */
static bool settle_of(struct options *o)
{
    static const char *const loads[] = {"send", "consume", "txn", "e2e"};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        if (strcmp(o->of, loads[i]) == 0)
            return true;
    }
    fprintf(stderr, "halfmq-bench: --of must be send, consume, txn or e2e, not '%s'\n", o->of);
    return false;
}

/* Through libhalfmq, what waits where the library is full has a thread for each connection; and a consumer, whose handlers
 * run on threads of their own anyway, has one where nothing else is said. */
static void settle_threads(struct options *o)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    bool waits = o->rate > 0 || o->keys.kind != KEYS_NONE;
    if (o->lib && (waits || (o->threads == 0 && options_load(o) == MODE_consume)))
        o->threads = o->connections;
    else if (o->threads == 0)
        o->threads = processors >= 8 ? 4 : processors >= 4 ? (uint64_t)processors / 2 : 1;
    if (o->lib && o->threads > o->connections)
        o->threads = o->connections;
}

static void settle_amounts(struct options *o)
{
    bool consume = options_load(o) == MODE_consume;
    if (o->messages == 0 && o->duration == 0) {
        o->duration = DURATION_DEFAULT_S * NS_PER_S;
        o->said[BENCH_duration] = "10s";
    }
    if (o->batch == 0)
        o->batch = consume ? 100 : 1;
    if (o->warmup < o->ramp) { /* the rate is not measured while it rises */
        o->warmup = o->ramp;
        o->said[BENCH_warmup] = o->said[BENCH_ramp];
    }
    if (o->consumers == 0)
        o->consumers = o->connections;
    /* Messages that a killed broker had delivered are redelivered when their lease ends; verify waits for that. */
    if (o->mode == MODE_verify && !o->given[BENCH_lease]) {
        o->lease = LEASE_VERIFY_S * NS_PER_S;
        o->said[BENCH_lease] = "3s";
    }
    if (o->inflight > 0 && o->inflight < o->connections && !o->given[BENCH_connections])
        o->connections = o->inflight;
    settle_threads(o);
    if (o->inflight == 0)
        o->inflight = o->connections * (o->rate > 0 ? 64 : consume ? 2 : 4);
}

/* True if a batch fits into one record. */
static bool settle_fits_a_record(const struct options *o)
{
    return o->batch <= BATCH_COUNT_MAX &&
           o->batch * (dist_max(&o->size) + RECORD_MESSAGE_BYTES) + RECORD_BYTES <= BATCH_BYTES_MAX;
}

/* Chooses how the load is sent, and notes it for the result. */
static void settle_wire(struct options *o)
{
    bool paced = options_load(o) == MODE_consume && (o->rate > 0 || dist_max(&o->work) > 0);
    o->binary = strcmp(o->wire, "binary") == 0 && strcmp(o->dialect, "rpc") == 0 && !paced &&
                (options_load(o) == MODE_consume || settle_fits_a_record(o));
    o->said[BENCH_wire] = o->wire = o->binary ? "binary" : "words";
}

static uint64_t settle_batch_max(const struct options *o)
{
    return options_load(o) == MODE_consume ? COUNT_MAX
           : options_load(o) == MODE_txn   ? TXN_MESSAGES_MAX
                                 : MSEND_BODIES_MAX;
}

static bool settle_check_ranges(const struct options *o)
{
    return settle_within("port", o->port, 1, 65535) &&
           settle_within("connections", o->connections, 1, CONNECTIONS_MAX) &&
           settle_within("consumers", o->consumers, 1, CONNECTIONS_MAX) &&
           settle_within("inflight", o->inflight, 1, INFLIGHT_MAX) &&
           settle_within("threads", o->threads, 1, THREADS_MAX) &&
           settle_within("batch", o->batch, 1, settle_batch_max(o)) &&
           settle_within("key-count", o->key_count, 1, KEYS_COUNT_MAX) &&
           settle_within("credit", o->credit, 1, CREDIT_MAX) && settle_within("rounds", o->rounds, 1, 1000) &&
           settle_within("queues", o->queues, 0, QUEUES_MAX) && settle_within("tags", o->tags, 0, 1000000) &&
           settle_within("rate-limit", o->rate_limit, 0, 1000000000) &&
           settle_within("size", dist_max(&o->size), 0, BODY_BYTES_CEILING) &&
           settle_within("halfmq-port", o->halfmq_port, 0, 65535);
}

static bool settle_check_amounts(const struct options *o)
{
    if (o->inflight < o->connections)
        return settle_refuse(
            "--inflight is for all connections together: it must not be less than --connections");
    if (o->rollback + o->undecided > 1)
        return settle_refuse("--rollback and --undecided together are more than 100%");
    if (o->lease < NS_PER_MS)
        return settle_refuse("--lease must be 1ms or longer");
    if (o->batch * dist_max(&o->size) > BATCH_ROOM_MAX)
        return settle_refuse("--size times --batch is more than 32 MiB, the largest request that is sent");
    if (o->inflight * o->batch > PARTS_TOTAL_MAX)
        return settle_refuse(
            "--inflight times --batch is more than 64 million messages: lower one of them");
    return true;
}

/* The least that a distribution may draw. */
static uint64_t settle_least(const struct dist *d)
{
    uint64_t low = d->kind == DIST_EXPONENTIAL ? 0 : d->low;
    if (d->kind == DIST_MIX)
        low = d->value[0];
    for (unsigned i = 0; d->kind == DIST_MIX && i < d->n_mix; i++)
        low = d->value[i] < low ? d->value[i] : low;
    return low;
}

static bool settle_check_bodies(struct options *o)
{
    bool needed = options_load(o) == MODE_e2e || o->mode == MODE_verify;
    if (!body_kind_find(o->body, &o->body_kind))
        return settle_refuse("--body must be filler, random or json");
    if (needed && settle_least(&o->size) < BODY_HEAD_BYTES) {
        fprintf(stderr,
                "halfmq-bench: %s puts a head into each body: --size must be at least %d\n",
                mode_names[o->mode], BODY_HEAD_BYTES);
        return false;
    }
    if (o->mode == MODE_redis && options_load(o) == MODE_txn)
        return settle_refuse("Redis has no half messages: --of must be send, consume or e2e");
    return true;
}

/* Options of messages and groups that only HalfMQ has, or that would make the load's own checks fail. */
static bool settle_check_choice(const struct options *o)
{
    enum mode load = options_load(o);
    bool checks = o->mode == MODE_verify || load == MODE_e2e;
    bool messages = o->tags > 0 || o->given[BENCH_priority], groups = o->ordered || o->filter[0] || o->rate_limit > 0;
    if (dist_max(&o->priority) > 9)
        return settle_refuse("--priority must be 0 to 9");
    if (o->mode == MODE_redis && (messages || groups))
        return settle_refuse("Redis has no --tags, --priority, --ordered, --filter and --rate-limit");
    if (o->filter[0] && strncmp(o->filter, "TAG ", 4) != 0 && strncmp(o->filter, "WHERE ", 6) != 0)
        return settle_refuse("--filter begins with TAG or WHERE, as of GROUP CREATE");
    if (checks && o->filter[0])
        return settle_refuse("--filter is for consume: what does not match would count as lost");
    if (o->mode == MODE_verify && o->given[BENCH_priority])
        return settle_refuse("verify has no --priority: it changes the order, which is what is verified");
    if (load == MODE_txn && (messages || groups))
        return settle_refuse("txn has no --tags, --priority, --ordered, --filter and --rate-limit");
    return !(o->lib && messages) || settle_refuse("--via lib: there is no --tags and --priority");
}

static bool settle_check_files(const struct options *o)
{
    if (o->files[0] && o->files[1])
        return true;
    return settle_refuse("compare needs two results: halfmq-bench compare A.json B.json");
}

/* What libhalfmq cannot do asynchronously, or halfmq-bench does not do with it. */
static bool settle_check_lib(const struct options *o)
{
    enum mode load = options_load(o);
    if (!o->lib)
        return true;
    if (o->mode == MODE_redis || o->mode == MODE_verify || load == MODE_e2e || strcmp(o->dialect, "rpc") != 0)
        return settle_refuse("--via lib is for send, consume and txn, by MessagePack-RPC");
    if (load == MODE_txn && (o->undecided > 0 || o->batch > 1 || o->rate > 0))
        return settle_refuse("--via lib: txn has no --undecided, --batch and --rate");
    if (dist_max(&o->work) > 0 || (load == MODE_consume && o->rate > 0))
        return settle_refuse("--via lib: there is no --work, and consume has no --rate");
    return settle_within("connections, with --via lib,", o->connections, 1, THREADS_MAX);
}

bool options_settle(struct options *o)
{
    if (o->mode == MODE_compare)
        return settle_check_files(o);
    if (!settle_of(o))
        return false;
    o->lib = strcmp(o->via, "lib") == 0;
    if (!o->lib && strcmp(o->via, "wire") != 0)
        return settle_refuse("--via must be wire or lib");
    settle_amounts(o);
    if (strcmp(o->wire, "binary") != 0 && strcmp(o->wire, "words") != 0 &&
        strcmp(o->wire, "msend") != 0)
        return settle_refuse("--wire must be binary or words (or msend, which is the same as words)");
    settle_wire(o);
    if (strcmp(o->dialect, "rpc") != 0 && strcmp(o->dialect, "resp") != 0)
        return settle_refuse("--dialect must be rpc or resp");
    return settle_check_lib(o) && settle_check_ranges(o) && settle_check_amounts(o) && settle_check_bodies(o) &&
           settle_check_choice(o) && settle_sane_name("topic", o->topic) && settle_sane_name("group", o->group) &&
           settle_sane_name("pgroup", o->pgroup);
}
