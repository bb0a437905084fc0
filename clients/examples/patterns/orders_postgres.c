/*
 * orders_postgres.c: the order service of orders_sqlite.c on PostgreSQL.
 * `orders_postgres [conninfo]` reads orders from standard input, one a line: <order> <item> <quantity>
 *
 * The rule is the same: a txid gets its row in `outcomes` once. But here the database is a process of
 * its own, so it may still be working on an order when the broker asks, even if the service that sent
 * the order is dead. The primary key covers that case: the INSERT of the answer waits until the
 * unfinished order has ended, for at most lock_timeout. After that the answer is "undecided", and the
 * broker asks again later.
 */
#include <halfmq.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PQexec runs all of these statements in one transaction. The lock makes services that start at the same
 * time create the tables one after the other. */
static const char schema[] =
    "SET client_min_messages=warning;"
    "SELECT pg_advisory_xact_lock(4253);"
    "CREATE TABLE IF NOT EXISTS products(item text PRIMARY KEY, stock integer NOT NULL);"
    "CREATE TABLE IF NOT EXISTS orders(id text PRIMARY KEY, item text NOT NULL,"
    "  quantity integer NOT NULL);"
    "CREATE TABLE IF NOT EXISTS outcomes(txid bigint PRIMARY KEY, taken integer NOT NULL);"
    "INSERT INTO products VALUES('apple', 100), ('pear', 5) ON CONFLICT DO NOTHING;"
    "SET lock_timeout='2s'";

struct order {
    PGconn *shop;
    char id[32], item[32], quantity[16];
    enum hmq_decision fate; /* what became of it in the database */
};

/* Runs one statement and returns how many rows it changed or found, or -1 if it failed. *ret_value is the
 * first value that it returned. */
static int run(PGconn *shop, const char *sql, int n, const char *const *values, int *ret_value)
{
    PGresult *result = PQexecParams(shop, sql, n, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    int rows = -1;
    if (status == PGRES_TUPLES_OK)
        rows = PQntuples(result);
    else if (status == PGRES_COMMAND_OK)
        rows = (int)strtol(PQcmdTuples(result), NULL, 10);
    else
        fprintf(stderr, "%s", PQerrorMessage(shop));
    if (rows > 0 && ret_value)
        *ret_value = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return rows;
}

/* True if the connection is up. Reconnects if it was lost, for example because the database was restarted. */
static int ready(PGconn *shop)
{
    if (PQstatus(shop) == CONNECTION_OK)
        return 1;
    PQreset(shop);
    return PQstatus(shop) == CONNECTION_OK &&
           run(shop, "SET lock_timeout='2s'", 0, NULL, NULL) >= 0;
}

/* After an error, PostgreSQL replies to COMMIT with ROLLBACK; so this checks what COMMIT did. */
static int commit(PGconn *shop)
{
    PGresult *result = PQexec(shop, "COMMIT");
    int good = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    return good;
}

/* The local transaction. Nothing has happened until the database's own COMMIT. If that COMMIT fails, the
 * outcome is unknown, and the check-back will look it up. */
static enum hmq_decision place(void *arg, hmq_txid txid)
{
    struct order *order = arg;
    PGconn *shop = order->shop;
    char id[24];
    const char *const outcome[] = {id};
    const char *const row[] = {order->id, order->item, order->quantity};
    snprintf(id, sizeof id, "%" PRIu64, txid);

    int taken =
        ready(shop) && run(shop, "BEGIN", 0, NULL, NULL) == 0 &&
        run(shop, "INSERT INTO outcomes VALUES($1, 1) ON CONFLICT DO NOTHING", 1, outcome, NULL) ==
            1 &&
        run(shop, "INSERT INTO orders VALUES($1, $2, $3) ON CONFLICT DO NOTHING", 3, row, NULL) ==
            1 &&
        run(shop, "UPDATE products SET stock=stock-$2::int WHERE item=$1 AND stock>=$2::int", 2,
            row + 1, NULL) == 1;
    if (!taken)
        order->fate = HMQ_ROLLBACK;
    else if (commit(shop))
        order->fate = HMQ_COMMIT;
    if (order->fate == HMQ_ROLLBACK && PQtransactionStatus(shop) != PQTRANS_IDLE)
        run(shop, "ROLLBACK", 0, NULL, NULL);
    return order->fate;
}

/* Tells what became of a transaction. If it has no row, it gets one that makes "no" final. */
static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    PGconn *shop = arg;
    char id[24];
    const char *const txid[] = {id};
    int taken = 0;
    snprintf(id, sizeof id, "%" PRIu64, hmq_check_txid(check));
    if (!ready(shop) ||
        run(shop, "INSERT INTO outcomes VALUES($1, 0) ON CONFLICT DO NOTHING", 1, txid, NULL) < 0 ||
        run(shop, "SELECT taken FROM outcomes WHERE txid=$1", 1, txid, &taken) != 1)
        return HMQ_UNDECIDED; /* the database failed: the broker will ask again */
    return taken ? HMQ_COMMIT : HMQ_ROLLBACK;
}

/* Handles one order, from the half message to the commit or the rollback. */
static void announce(hmq_txn_producer *producer, struct order *order)
{
    hmq_send_options options = HMQ_SEND_OPTIONS;
    hmq_error err;
    char body[160];
    int n = snprintf(body, sizeof body, "{\"order\": \"%s\", \"item\": \"%s\", \"quantity\": %s}",
                     order->id, order->item, order->quantity);
    options.key = order->id;
    hmq_txn_run(producer, "orders", body, (size_t)n, &options, place, order, HMQ_DEFAULT, NULL,
                &err);
    if (order->fate == HMQ_UNDECIDED)
        printf("%s failed: %s\n", order->id, err.code == HMQ_OK ? "the database" : err.text);
    else
        printf("%s %s\n", order->id, order->fate == HMQ_COMMIT ? "taken" : "refused");
    fflush(stdout);
}

/* Opens the database. Only one thread at a time may use a connection. */
static PGconn *open_shop(const char *conninfo)
{
    PGconn *shop = PQconnectdb(conninfo);
    PGresult *result = PQexec(shop, schema);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s", PQerrorMessage(shop));
        exit(EXIT_FAILURE);
    }
    PQclear(result);
    return shop;
}

int main(int argc, char **argv)
{
    const char *conninfo = argc > 1 ? argv[1] : "dbname=shop";
    struct order order = {.shop = open_shop(conninfo)};
    PGconn *for_checks = open_shop(conninfo);
    hmq_client *client = NULL;
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    char line[256];

    if (hmq_client_open(NULL, &client, &err) != HMQ_OK ||
        hmq_txn_producer_new(client, "shop", on_check, for_checks, NULL, &producer, &err) != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    while (producer && fgets(line, sizeof line, stdin)) {
        order.fate = HMQ_UNDECIDED;
        if (sscanf(line, "%31[a-zA-Z0-9-] %31[a-zA-Z0-9-] %15[0-9]", order.id, order.item,
                   order.quantity) == 3)
            announce(producer, &order);
    }
    hmq_txn_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
    PQfinish(for_checks);
    PQfinish(order.shop);
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
