/*
 * burst.c: sends a burst, consumes it at the database's pace, and compares; see burst.h.
 *
 * What is checked at the end:
 *   lost, twice     each order of each customer is in the database once
 *   out of order    the database got the orders of each customer in the order in which they were sent
 *   too fast        the broker delivered at most RATE messages in any second: its own time of each delivery says so
 *                   (lease_until less the lease), so a busy machine cannot blur it
 */
#include "burst.h"

#include <halfmq.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "children.h"

#define RATE 2000
#define CUSTOMERS 100
#define LEASE_MS 30000
#define STALL_MS 30000
#define TOPIC "burst"
#define GROUP "database"

struct burst {
    const char *uri;
    uint32_t n_orders;
    sqlite3 *db;
    sqlite3_stmt *insert;
    hmq_client *client;
    pthread_mutex_t lock;
    uint32_t stored; /* orders in the database */
    uint32_t redelivered; /* messages that came more than once; stored once */
    uint32_t n_times;
    int64_t *times; /* of each first delivery, by the broker's clock */
    bool broken; /* the database refused */
    _Atomic uint32_t unsent;
    int64_t sent_ms; /* how long sending took */
};

/* ---- the database ---- */

static bool burst_open_db(struct burst *b, const char *path)
{
    return sqlite3_open(path, &b->db) == SQLITE_OK &&
           sqlite3_exec(b->db,
                        "PRAGMA journal_mode=WAL;"
                        "CREATE TABLE orders(arrived INTEGER PRIMARY KEY, customer INTEGER, number INTEGER,"
                        "                    UNIQUE(customer, number));",
                        NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(b->db, "INSERT OR IGNORE INTO orders(customer, number) VALUES(?, ?)", -1, &b->insert,
                              NULL) == SQLITE_OK;
}

/* Stores one order. *ret_new: it was not there. */
static bool burst_store(struct burst *b, const hmq_message *m, bool *ret_new)
{
    unsigned customer, number;
    const char *body = hmq_message_body(m, NULL);
    if (!body || sscanf(body, "{\"customer\":%u,\"number\":%u}", &customer, &number) != 2)
        return false;
    sqlite3_bind_int64(b->insert, 1, customer);
    sqlite3_bind_int64(b->insert, 2, number);
    bool done = sqlite3_step(b->insert) == SQLITE_DONE;
    *ret_new = sqlite3_changes(b->db) > 0;
    sqlite3_reset(b->insert);
    return done;
}

/* The consumer's handler: some orders, no two of them of one customer, in one transaction of the database. */
static enum hmq_verdict burst_take(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    struct burst *b = arg;
    uint32_t fresh = 0;
    pthread_mutex_lock(&b->lock);
    bool good = sqlite3_exec(b->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;
    for (size_t i = 0; good && i < n; i++) {
        bool is_new = false;
        good = burst_store(b, messages[i], &is_new);
        fresh += is_new;
        if (hmq_message_attempt(messages[i]) == 1 && b->n_times < b->n_orders)
            b->times[b->n_times++] = hmq_message_lease_until_ms(messages[i]) - LEASE_MS;
    }
    good = sqlite3_exec(b->db, good ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && good;
    b->broken = b->broken || !good;
    b->stored += good ? fresh : 0;
    b->redelivered += good ? (uint32_t)n - fresh : 0;
    pthread_mutex_unlock(&b->lock);
    snprintf(retry->reason, sizeof retry->reason, "the database refused");
    return good ? HMQ_ACK : HMQ_NACK;
}

static uint32_t burst_stored(struct burst *b)
{
    pthread_mutex_lock(&b->lock);
    uint32_t n = b->broken ? UINT32_MAX : b->stored;
    pthread_mutex_unlock(&b->lock);
    return n;
}

/* ---- the burst ---- */

static void burst_on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct burst *b = arg;
    if (!id) {
        b->unsent++;
        fprintf(stderr, "demo: an order was not sent: %s\n", err->text);
    }
}

static bool burst_send_all(struct burst *b, hmq_error *err)
{
    hmq_producer *producer = NULL;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char body[64], customer[16];
    int64_t begun_ms = now_ms();
    if (hmq_producer_new(b->client, NULL, &producer, err) != HMQ_OK)
        return false;
    enum hmq_status status = HMQ_OK;
    for (uint32_t i = 0; i < b->n_orders && status == HMQ_OK; i++) {
        int n = snprintf(body, sizeof body, "{\"customer\":%u,\"number\":%u}", i % CUSTOMERS, i / CUSTOMERS);
        snprintf(customer, sizeof customer, "customer-%u", i % CUSTOMERS);
        o.order = customer;
        status = hmq_send_async(producer, TOPIC, body, (size_t)n, &o, 60000, burst_on_sent, b, err);
    }
    enum hmq_status closed = hmq_producer_close(producer, 60000, status == HMQ_OK ? err : NULL);
    b->sent_ms = now_ms() - begun_ms;
    return status == HMQ_OK && closed == HMQ_OK && b->unsent == 0;
}

/* ---- the group, and its one consumer ---- */

static bool burst_make_group(struct burst *b, hmq_error *err)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    s.ordered = 1;
    s.rate = RATE;
    return hmq_topic_create(b->client, TOPIC, NULL, HMQ_DEFAULT, err) == HMQ_OK &&
           hmq_group_create(b->client, GROUP, TOPIC, NULL, &s, HMQ_DEFAULT, err) == HMQ_OK;
}

/* Waits until all are stored, with a line a second. False: nothing moves any more. */
static bool burst_watch(struct burst *b)
{
    int64_t begun_ms = now_ms(), moved_ms = begun_ms, line_ms = begun_ms + 1000;
    uint32_t last = 0, n;
    while ((n = burst_stored(b)) < b->n_orders && now_ms() - moved_ms < STALL_MS) {
        moved_ms = n > last ? now_ms() : moved_ms;
        last = n;
        if (now_ms() >= line_ms) {
            int bar = (int)((uint64_t)n * 40 / b->n_orders);
            printf("%3.0f s  database %6" PRIu32 "  waiting at the broker %6" PRIu32 "  |%.*s%*s|\n",
                   (double)(now_ms() - begun_ms) / 1000, n, b->n_orders - n, bar,
                   "########################################", 40 - bar, "");
            fflush(stdout);
            line_ms += 1000;
        }
        pause_ms(10);
    }
    return n == b->n_orders;
}

static bool burst_consume(struct burst *b, hmq_error *err)
{
    const char *topic = TOPIC;
    hmq_options *options = hmq_options_new();
    hmq_consumer *consumer = NULL;
    bool through = options && hmq_options_set_uri(options, b->uri, err) == HMQ_OK &&
                   hmq_options_set(options, "ordered", "yes", err) == HMQ_OK &&
                   hmq_options_set(options, "lease_ms", "30000", err) == HMQ_OK &&
                   hmq_consumer_new_batch(b->client, GROUP, &topic, 1, burst_take, b, options, &consumer, err) == HMQ_OK;
    if (through && !burst_watch(b)) {
        through = false;
        snprintf(err->text, sizeof err->text, "nothing moves any more");
    }
    if (consumer && hmq_consumer_close(consumer, 10000, through ? err : NULL) != HMQ_OK)
        through = false;
    hmq_options_free(options);
    return through;
}

/* ---- the audit ---- */

static int burst_earlier(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The most deliveries in any second. */
static uint32_t burst_most(struct burst *b)
{
    uint32_t most = 0, from = 0;
    qsort(b->times, b->n_times, sizeof *b->times, burst_earlier);
    for (uint32_t to = 0; to < b->n_times; to++) {
        while (b->times[to] - b->times[from] >= 1000)
            from++;
        most = to - from + 1 > most ? to - from + 1 : most;
    }
    return most;
}

/* How many orders the database has, and how many of them it got before an earlier one of their customer. */
static uint32_t burst_count(struct burst *b, uint32_t *ret_wrong)
{
    sqlite3_stmt *rows;
    uint32_t next[CUSTOMERS] = {0}, n = 0;
    *ret_wrong = 0;
    if (sqlite3_prepare_v2(b->db, "SELECT customer, number FROM orders ORDER BY arrived", -1, &rows, NULL) != SQLITE_OK)
        return 0;
    for (; sqlite3_step(rows) == SQLITE_ROW; n++) {
        uint32_t customer = (uint32_t)sqlite3_column_int64(rows, 0), number = (uint32_t)sqlite3_column_int64(rows, 1);
        *ret_wrong += customer >= CUSTOMERS || number != next[customer]++;
    }
    sqlite3_finalize(rows);
    return n;
}

static bool burst_audit(struct burst *b)
{
    uint32_t wrong, n = burst_count(b, &wrong), most = burst_most(b);
    int64_t took_ms = b->n_times > 1 ? b->times[b->n_times - 1] - b->times[0] : 0;
    bool good = n == b->n_orders && wrong == 0 && most <= RATE;
    printf("audit\n");
    printf("  burst     %" PRIu32 " orders of %d customers sent in %.2f s\n", b->n_orders, CUSTOMERS,
           (double)b->sent_ms / 1000);
    printf("  database  %6" PRIu32 " orders: %" PRIu32 " lost, %" PRIu32 " out of order by customer (%" PRIu32
           " redelivered, stored once)\n", n, b->n_orders - n, wrong, b->redelivered);
    printf("  rate      in %.1f s, %.0f/s on average, at most %" PRIu32 " in any second; the database takes %d\n",
           (double)took_ms / 1000, took_ms ? (double)b->n_times * 1000 / (double)took_ms : 0.0, most, RATE);
    printf("%s\n", good ? "PASSED: the burst reached the database at its own pace, in order by customer, none lost"
                        : "FAILED");
    return good;
}

bool burst_play(const char *uri, const char *db_path, uint32_t n_orders)
{
    struct burst b = {.uri = uri, .n_orders = n_orders, .lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_error err = {HMQ_ENOMEM, "no memory"};
    printf("\nsecond act: a burst of %" PRIu32 " orders, and a database that takes %d a second\n", n_orders, RATE);
    b.times = calloc(n_orders, sizeof *b.times);
    bool through = b.times && burst_open_db(&b, db_path) && hmq_client_open(uri, &b.client, &err) == HMQ_OK &&
                   burst_make_group(&b, &err) && burst_send_all(&b, &err) && burst_consume(&b, &err);
    if (!through)
        printf("demo: %s\n", err.text);
    bool good = b.db && burst_audit(&b) && through;
    hmq_client_free(b.client);
    sqlite3_finalize(b.insert);
    sqlite3_close(b.db);
    free(b.times);
    return good;
}
