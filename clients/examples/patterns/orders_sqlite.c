/*
 * orders_sqlite.c: an order service whose database and messages never disagree.
 * `orders_sqlite [database]` reads orders from standard input, one a line: <order> <item> <quantity>
 *
 *   half ──► one transaction of the database: the order, and the txid ──► commit
 *                 ╳ dies here? The broker asks any process of the group `shop`: on_check looks it up.
 *
 * There is one rule: a txid gets its row in `outcomes` once, before anybody is told the outcome. The
 * order writes 1 there. The answer to the broker writes 0 there if there is no row yet. The primary key
 * lets only one of them succeed.
 */
#include <halfmq.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static const char schema[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS products(item TEXT PRIMARY KEY, stock INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS orders(id TEXT PRIMARY KEY, item TEXT NOT NULL,"
    "  quantity INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS outcomes(txid INTEGER PRIMARY KEY, taken INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO products VALUES('apple', 100), ('pear', 5);";

struct order {
    sqlite3 *shop;
    char id[32], item[32];
    int quantity;
    enum hmq_decision fate; /* what became of it in the database */
};

/* Runs one statement with the txid as ?1 and the order as ?2 ?3 ?4. If the statement returns an integer,
 * it is stored in *ret_value. */
static int run(sqlite3 *shop, const char *sql, hmq_txid txid, const struct order *order,
               int *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(shop, sql, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)txid);
    if (order) {
        sqlite3_bind_text(statement, 2, order->id, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, order->item, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 4, order->quantity);
    }
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW && ret_value)
        *ret_value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int done(const struct order *order, const char *sql, hmq_txid txid)
{
    return run(order->shop, sql, txid, order, NULL) == SQLITE_DONE;
}

/* The local transaction. Nothing has happened until the database's own COMMIT. If that COMMIT fails, the
 * outcome is unknown, and the check-back will look it up. */
static enum hmq_decision place(void *arg, hmq_txid txid)
{
    struct order *order = arg;
    int taken =
        done(order, "BEGIN IMMEDIATE", txid) &&
        done(order, "INSERT INTO outcomes VALUES(?1, 1)", txid) &&
        done(order, "INSERT INTO orders VALUES(?2, ?3, ?4)", txid) &&
        done(order, "UPDATE products SET stock=stock-?4 WHERE item=?3 AND stock>=?4", txid) &&
        sqlite3_changes(order->shop) == 1;
    if (!taken)
        order->fate = HMQ_ROLLBACK;
    else if (done(order, "COMMIT", txid))
        order->fate = HMQ_COMMIT;
    if (order->fate != HMQ_COMMIT)
        done(order, "ROLLBACK", txid);
    return order->fate;
}

/* Tells what became of a transaction. If it has no row, it gets one that makes "no" final. */
static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    sqlite3 *shop = arg;
    hmq_txid txid = hmq_check_txid(check);
    int taken = 0;
    if (run(shop, "INSERT OR IGNORE INTO outcomes VALUES(?1, 0)", txid, NULL, NULL) !=
            SQLITE_DONE ||
        run(shop, "SELECT taken FROM outcomes WHERE txid=?1", txid, NULL, &taken) != SQLITE_ROW)
        return HMQ_UNDECIDED; /* the database failed: the broker will ask again */
    return taken ? HMQ_COMMIT : HMQ_ROLLBACK;
}

/* Handles one order, from the half message to the commit or the rollback. */
static void announce(hmq_txn_producer *producer, struct order *order)
{
    hmq_send_options options = HMQ_SEND_OPTIONS;
    hmq_error err;
    char body[160];
    int n = snprintf(body, sizeof body, "{\"order\": \"%s\", \"item\": \"%s\", \"quantity\": %d}",
                     order->id, order->item, order->quantity);
    options.key = order->id;
    hmq_txn_run(producer, "orders", body, (size_t)n, &options, place, order, HMQ_DEFAULT, NULL,
                &err);
    if (order->fate == HMQ_UNDECIDED)
        printf("%s failed: %s\n", order->id, err.code == HMQ_OK ? "database error" : err.text);
    else
        printf("%s %s\n", order->id, order->fate == HMQ_COMMIT ? "taken" : "refused");
    fflush(stdout);
}

/* Opens the database. Only one thread at a time may use a connection. */
static sqlite3 *open_shop(const char *path)
{
    sqlite3 *shop = NULL;
    if (sqlite3_open(path, &shop) == SQLITE_OK && sqlite3_busy_timeout(shop, 20000) == SQLITE_OK &&
        sqlite3_exec(shop, schema, NULL, NULL, NULL) == SQLITE_OK)
        return shop;
    fprintf(stderr, "%s: %s\n", path, shop ? sqlite3_errmsg(shop) : "no memory");
    sqlite3_close(shop);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "shop.db";
    struct order order = {.shop = open_shop(path)};
    sqlite3 *for_checks = open_shop(path);
    hmq_client *client = NULL;
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    char line[256];

    if (hmq_client_open(NULL, &client, &err) != HMQ_OK ||
        hmq_txn_producer_new(client, "shop", on_check, for_checks, NULL, &producer, &err) != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    while (producer && fgets(line, sizeof line, stdin)) {
        order.fate = HMQ_UNDECIDED;
        if (sscanf(line, "%31[a-zA-Z0-9-] %31[a-zA-Z0-9-] %d", order.id, order.item,
                   &order.quantity) == 3)
            announce(producer, &order);
    }
    hmq_txn_producer_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
    sqlite3_close(for_checks);
    sqlite3_close(order.shop);
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
