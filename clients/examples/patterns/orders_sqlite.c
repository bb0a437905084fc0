/*
 * orders_sqlite.c: an order service whose database and whose messages never disagree.
 * `orders_sqlite [database]` reads orders from its input, a line each: <order> <item> <quantity>
 *
 *   half ──► one transaction of the database: the order, and the txid ──► commit
 *                 ╳ dies here? The broker asks any process of the group `shop`: on_check looks it up.
 *
 * The one rule: a txid gets its row in `outcomes` once, and before anybody is told. The order writes 1
 * there, the answer to the broker writes 0 where nothing is yet, and the primary key lets one of them
 * win.
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
    enum hmq_decision fate; /* what the database holds of it */
};

/* One statement, ?1 being the txid and ?2 ?3 ?4 the order. An integer that it yields: *ret_value. */
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

/* The local transaction. Until the database's own COMMIT nothing has happened; when that fails nobody
 * knows, and the check-back will look. */
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

/* What became of a transaction? Where nothing is known of it, nothing will ever come of it. */
static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    sqlite3 *shop = arg;
    hmq_txid txid = hmq_check_txid(check);
    int taken = 0;
    if (run(shop, "INSERT OR IGNORE INTO outcomes VALUES(?1, 0)", txid, NULL, NULL) !=
            SQLITE_DONE ||
        run(shop, "SELECT taken FROM outcomes WHERE txid=?1", txid, NULL, &taken) != SQLITE_ROW)
        return HMQ_UNDECIDED; /* the database is in trouble: ask again later */
    return taken ? HMQ_COMMIT : HMQ_ROLLBACK;
}

/* One order, from the half message to the decision. */
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
        printf("%s failed: %s\n", order->id, err.code == HMQ_OK ? "the database" : err.text);
    else
        printf("%s %s\n", order->id, order->fate == HMQ_COMMIT ? "taken" : "refused");
    fflush(stdout);
}

/* A connection belongs to one thread at a time. */
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

    if (hmq_client_open(NULL, &client, &err) == HMQ_OK)
        hmq_txn_producer_new(client, "shop", on_check, for_checks, NULL, &producer, &err);
    while (producer && fgets(line, sizeof line, stdin)) {
        order.fate = HMQ_UNDECIDED;
        if (sscanf(line, "%31[a-zA-Z0-9-] %31[a-zA-Z0-9-] %d", order.id, order.item,
                   &order.quantity) == 3)
            announce(producer, &order);
    }
    if (err.code != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    hmq_txn_close(producer, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
    sqlite3_close(for_checks);
    sqlite3_close(order.shop);
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
