/*
 * orders.c: the order service. It takes orders 1 to n, each in a transaction of its own at the broker and
 * in its database. It may be killed at any moment: when it is started again, it continues with the orders
 * that are not in its database, and answers the broker's check-backs from the database.
 *
 *   orders <data folder> <database> <orders> <percent of answers to forget>
 *
 * The broker is where HALFMQ_URL says. It ends at SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "desk.h"

#define PGROUP "order-service"

struct checks {
    struct store store; /* the check worker's own */
};

/* Answers a check-back. Runs on the producer's check thread. */
static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    struct checks *checks = arg;
    enum hmq_decision decision = HMQ_UNDECIDED;
    if (!store_answer(&checks->store, hmq_check_txid(check), &decision))
        fprintf(stderr, "orders: cannot answer now: %s\n", store_error(&checks->store));
    return decision;
}

static bool find_done(struct desk *d)
{
    struct store store;
    bool good = store_open(&store, d->db_path, d->shop) && store_done(&store, d->done, d->n_orders);
    if (!good)
        fprintf(stderr, "orders: %s: %s\n", d->db_path, store_error(&store));
    store_close(&store);
    return good;
}

/* Works until SIGTERM, or until an error that it cannot recover from. */
static bool serve(struct desk *d)
{
    pthread_t feeder, clerk;
    sigset_t ends;
    int number;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    if (pthread_create(&feeder, NULL, desk_feeder, d) != 0)
        return false;
    bool both = pthread_create(&clerk, NULL, desk_clerk, d) == 0;
    if (both)
        sigwait(&ends, &number);
    desk_stop(d);
    pthread_join(feeder, NULL);
    if (both)
        pthread_join(clerk, NULL);
    return both && !d->failed;
}

static bool run(struct desk *d, struct checks *checks, hmq_error *err)
{
    hmq_client *client = NULL;
    bool good =
        hmq_client_open(NULL, &client, err) == HMQ_OK &&
        hmq_txn_producer_new(client, PGROUP, on_check, checks, NULL, &d->producer, err) == HMQ_OK &&
        serve(d);
    hmq_txn_producer_close(d->producer, 1000, NULL);
    hmq_client_free(client);
    return good;
}

int main(int argc, char **argv)
{
    char text[256] = "usage: orders <data folder> <database> <orders> <percent to forget>";
    struct shop shop = {0};
    struct checks checks = {{0}};
    struct desk desk = {.shop = &shop};
    hmq_error err = {HMQ_OK, ""};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (argc != 5 || !shop_load(&shop, argv[1], text, sizeof text)) {
        fprintf(stderr, "orders: %s\n", text);
        shop_free(&shop);
        return 2;
    }
    desk.db_path = argv[2];
    desk.n_orders = (uint32_t)strtoul(argv[3], NULL, 10);
    desk.forget_percent = (unsigned)strtoul(argv[4], NULL, 10);
    bool good = desk_init(&desk) && find_done(&desk) &&
                store_open(&checks.store, desk.db_path, &shop) && run(&desk, &checks, &err);
    if (!good)
        fprintf(stderr, "orders: %s\n", err.text);
    store_close(&checks.store);
    desk_fini(&desk);
    shop_free(&shop);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
