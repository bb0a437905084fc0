/*
 * desk.c: the two threads of the service: the feeder sends half messages, the clerk stores the orders in
 * batches and then commits or rolls back (desk.h).
 */
#include "desk.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HALF_TIMEOUT_MS 60000

bool desk_init(struct desk *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    d->ready = d->again = NULL;
    d->ready_end = &d->ready;
    d->done = calloc((size_t)d->n_orders + 1, 1);
    return d->done != NULL;
}

void desk_fini(struct desk *d)
{
    struct slip *lists[] = {d->ready, d->again};
    for (size_t i = 0; i < 2; i++) {
        for (struct slip *slip = lists[i], *next; slip; slip = next) {
            next = slip->next;
            free(slip);
        }
    }
    free(d->done);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
}

void desk_stop(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void fail(struct desk *d, const char *what, const char *why)
{
    fprintf(stderr, "orders: %s: %s\n", what, why);
    pthread_mutex_lock(&d->lock);
    d->failed = d->stopping = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    kill(getpid(), SIGTERM); /* main waits for this signal */
}

/* The reply to a half message. Runs on the client's thread, so it only queues the slip. */
static void on_half(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct slip *slip = arg;
    struct desk *d = slip->desk;
    (void)
        err; /* on any error a new half message is sent; a lost one is rolled back at its check-back */
    slip->txid = txid;
    slip->next = NULL;
    pthread_mutex_lock(&d->lock);
    *d->ready_end = slip;
    d->ready_end = &slip->next;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* The next slip to announce; NULL: stopping. */
static struct slip *next_slip(struct desk *d, uint32_t *next)
{
    struct slip *slip = NULL;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping && !d->again && (d->open >= DESK_MAX || *next > d->n_orders))
        pthread_cond_wait(&d->changed, &d->lock);
    if (d->stopping) {
        pthread_mutex_unlock(&d->lock);
        return NULL;
    }
    if (d->again) {
        slip = d->again;
        d->again = slip->next;
    } else if ((slip = calloc(1, sizeof *slip))) {
        slip->desk = d;
        slip->order = (*next)++;
        d->open++;
    }
    pthread_mutex_unlock(&d->lock);
    return slip;
}

void *desk_feeder(void *arg)
{
    struct desk *d = arg;
    struct slip *slip;
    uint32_t next = 1;
    for (;;) {
        while (next <= d->n_orders && d->done[next])
            next++;
        slip = next_slip(d, &next);
        if (!slip)
            return NULL;
        struct order order;
        hmq_error err;
        char body[ORDER_JSON_SIZE], key[16];
        hmq_send_options options = HMQ_SEND_OPTIONS;
        shop_order(d->shop, slip->order, &order);
        size_t n = order_json(&order, body);
        snprintf(key, sizeof key, "%" PRIu32, order.id);
        options.key = key;
        if (hmq_txn_half_async(d->producer, "orders", body, n, &options, HALF_TIMEOUT_MS, on_half,
                               slip, &err) != HMQ_OK) {
            free(slip);
            fail(d, "half", err.text);
            return NULL;
        }
    }
}

/* Waits for slips that are ready and takes up to BATCH_MAX of them. 0: the service is stopping. */
static size_t take_ready(struct desk *d, struct slip *batch[BATCH_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping && !d->ready)
        pthread_cond_wait(&d->changed, &d->lock);
    for (; !d->stopping && d->ready && n < BATCH_MAX; n++) {
        batch[n] = d->ready;
        d->ready = batch[n]->next;
    }
    if (!d->ready)
        d->ready_end = &d->ready;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static void put_again(struct desk *d, struct slip *slip)
{
    pthread_mutex_lock(&d->lock);
    slip->next = d->again;
    d->again = slip;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void close_slip(struct desk *d, struct slip *slip)
{
    free(slip);
    pthread_mutex_lock(&d->lock);
    d->open--;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void on_decided(void *arg, hmq_reply *ids, const hmq_error *err)
{
    (void)arg;
    if (err->code == HMQ_ETXNCONFLICT || err->code == HMQ_ENOTXN)
        fprintf(stderr, "orders: a decision was refused: %s\n", err->text);
    hmq_reply_free(ids); /* if the reply is lost, the broker will ask */
}

/* Commits or rolls back at the broker, except for forget_percent of the orders: the broker has to ask. */
static void tell(struct desk *d, const struct slip *slip, enum fate fate)
{
    hmq_error err;
    if ((slip->order * UINT32_C(2654435761) >> 16) % 100 < d->forget_percent)
        return;
    if (hmq_txn_decide_async(d->producer, slip->txid,
                             fate == FATE_TAKEN ? HMQ_COMMIT : HMQ_ROLLBACK, HMQ_DEFAULT,
                             on_decided, NULL, &err) != HMQ_OK)
        fprintf(stderr, "orders: %s\n", err.text);
}

/* Stores the whole batch in one database transaction. Only after that it tells the broker. */
static bool work(struct desk *d, struct store *s, struct slip *batch[BATCH_MAX], size_t n)
{
    enum fate fates[BATCH_MAX];
    bool good = store_begin(s);
    for (size_t i = 0; good && i < n; i++) {
        struct order order;
        fates[i] = FATE_TOO_LATE;
        shop_order(d->shop, batch[i]->order, &order);
        if (batch[i]->txid)
            good = store_place(s, &order, batch[i]->txid, &fates[i]);
    }
    if (!good || !store_commit(s))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (fates[i] == FATE_TOO_LATE) {
            put_again(d, batch[i]);
            continue;
        }
        tell(d, batch[i], fates[i]);
        close_slip(d, batch[i]);
    }
    return true;
}

void *desk_clerk(void *arg)
{
    struct desk *d = arg;
    struct store store;
    struct slip *batch[BATCH_MAX];
    size_t n = 0;
    bool good = store_open(&store, d->db_path, d->shop);
    while (good && (n = take_ready(d, batch)) > 0)
        good = work(d, &store, batch, n);
    if (!good)
        fail(d, "database", store_error(&store));
    for (size_t i = 0; !good && i < n; i++)
        free(batch[i]);
    store_close(&store);
    return NULL;
}
