/*
 * store.c: the order service's tables and the statements on them (store.h).
 */
#include "store.h"

#include <stdio.h>

#define NOTE_EVERY 50 /* answers between two lines in `asked` */

static const char schema[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, txid INTEGER NOT NULL UNIQUE,"
    "  customer INTEGER NOT NULL, total_cents INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS refused(txid INTEGER PRIMARY KEY, order_id INTEGER, reason TEXT "
    "NOT NULL);"
    "CREATE TABLE IF NOT EXISTS products(id INTEGER PRIMARY KEY, name TEXT NOT NULL, stock INTEGER "
    "NOT NULL);"
    "CREATE TABLE IF NOT EXISTS asked(commits INTEGER NOT NULL, rollbacks INTEGER NOT NULL);";

static bool prepare(struct store *s, const char *sql, sqlite3_stmt **ret_statement)
{
    return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL) ==
           SQLITE_OK;
}

static bool run(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Runs a statement that yields at most one row. */
static bool step(sqlite3_stmt *statement, bool *ret_row)
{
    int got = sqlite3_step(statement);
    *ret_row = got == SQLITE_ROW;
    sqlite3_reset(statement);
    return got == SQLITE_ROW || got == SQLITE_DONE;
}

static bool fill(struct store *s, const struct shop *shop)
{
    sqlite3_stmt *add;
    bool row,
        good = run(s, "BEGIN IMMEDIATE") &&
               prepare(s, "INSERT OR IGNORE INTO products(id, name, stock) VALUES(?, ?, ?)", &add);
    for (size_t i = 0; good && i < shop->n_products; i++) {
        sqlite3_bind_int(add, 1, shop->products[i].id);
        sqlite3_bind_text(add, 2, shop->products[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_int(add, 3, shop->products[i].stock);
        good = step(add, &row);
    }
    if (good)
        sqlite3_finalize(add);
    return good && run(s, "COMMIT");
}

bool store_open(struct store *s, const char *path, const struct shop *shop)
{
    *s = (struct store){0};
    return sqlite3_open(path, &s->db) == SQLITE_OK &&
           sqlite3_busy_timeout(s->db, 20000) == SQLITE_OK && run(s, schema) && fill(s, shop) &&
           prepare(s, "SELECT 1 FROM orders WHERE txid=?", &s->is_order) &&
           prepare(s, "SELECT 1 FROM refused WHERE txid=?", &s->is_refused) &&
           prepare(s, "INSERT INTO orders(id, txid, customer, total_cents) VALUES(?, ?, ?, ?)",
                   &s->take) &&
           prepare(s, "INSERT INTO refused(txid, order_id, reason) VALUES(?, ?, ?)", &s->refuse) &&
           prepare(s, "UPDATE products SET stock=stock-?1 WHERE id=?2 AND stock>=?1",
                   &s->reserve) &&
           prepare(s, "INSERT INTO asked(commits, rollbacks) VALUES(?, ?)", &s->asked);
}

void store_close(struct store *s)
{
    sqlite3_stmt *all[] = {s->is_order, s->is_refused, s->take, s->refuse, s->reserve, s->asked};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(s->db);
}

bool store_begin(struct store *s)
{
    return run(s, "BEGIN IMMEDIATE");
}

bool store_commit(struct store *s)
{
    return run(s, "COMMIT");
}

void store_rollback(struct store *s)
{
    run(s, "ROLLBACK");
}

static bool known(sqlite3_stmt *statement, hmq_txid txid, bool *ret_known)
{
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)txid);
    return step(statement, ret_known);
}

/* Puts the transaction into `refused`. order is 0 if it is not known. */
static bool refuse(struct store *s, hmq_txid txid, uint32_t order, const char *reason)
{
    bool row;
    sqlite3_bind_int64(s->refuse, 1, (sqlite3_int64)txid);
    if (order)
        sqlite3_bind_int64(s->refuse, 2, order);
    else
        sqlite3_bind_null(s->refuse, 2);
    sqlite3_bind_text(s->refuse, 3, reason, -1, SQLITE_STATIC);
    return step(s->refuse, &row);
}

/* Reduces the stock of each product of the order. Sets *ret_reason if something is sold out. */
static bool reserve(struct store *s, const struct order *order, const char **ret_reason)
{
    bool row, good = run(s, "SAVEPOINT shelf");
    for (size_t i = 0; good && !*ret_reason && i < order->n_lines; i++) {
        sqlite3_bind_int(s->reserve, 1, order->lines[i].quantity);
        sqlite3_bind_int(s->reserve, 2, order->lines[i].product->id);
        good = step(s->reserve, &row);
        if (good && sqlite3_changes(s->db) == 0)
            *ret_reason = "sold out";
    }
    return good && run(s, *ret_reason ? "ROLLBACK TO shelf; RELEASE shelf" : "RELEASE shelf");
}

static bool take(struct store *s, const struct order *order, hmq_txid txid)
{
    bool row;
    sqlite3_bind_int64(s->take, 1, order->id);
    sqlite3_bind_int64(s->take, 2, (sqlite3_int64)txid);
    sqlite3_bind_int(s->take, 3, order->customer->id);
    sqlite3_bind_int64(s->take, 4, order->total_cents);
    return step(s->take, &row);
}

bool store_place(struct store *s, const struct order *order, hmq_txid txid, enum fate *ret_fate)
{
    bool late;
    const char *reason = NULL;
    if (!known(s->is_refused, txid, &late))
        return false;
    *ret_fate = FATE_TOO_LATE;
    if (late)
        return true;
    if (order->customer->blocked)
        reason = "customer blocked";
    else if (order->total_cents > order->customer->credit_cents)
        reason = "over the credit limit";
    else if (!reserve(s, order, &reason))
        return false;
    *ret_fate = reason ? FATE_REFUSED : FATE_TAKEN;
    return reason ? refuse(s, txid, order->id, reason) : take(s, order, txid);
}

/* Adds the counts of answers to `asked`. Called between store_begin and store_commit. */
static bool note_answers(struct store *s)
{
    bool row;
    sqlite3_bind_int64(s->asked, 1, s->commits);
    sqlite3_bind_int64(s->asked, 2, s->rollbacks);
    return step(s->asked, &row);
}

/* Makes "no" final for a transaction that the database does not know, unless it was taken in the meantime. */
static bool bury(struct store *s, hmq_txid txid, bool *ret_taken)
{
    bool refused = false;
    if (!store_begin(s))
        return false;
    bool good = known(s->is_order, txid, ret_taken) && known(s->is_refused, txid, &refused) &&
                (*ret_taken || refused || refuse(s, txid, 0, "never happened")) &&
                note_answers(s) && store_commit(s);
    if (!good) {
        store_rollback(s);
        return false;
    }
    s->commits = s->rollbacks = 0;
    return true;
}

bool store_answer(struct store *s, hmq_txid txid, enum hmq_decision *ret_decision)
{
    bool taken = false, refused = false;
    if (!known(s->is_order, txid, &taken) || !known(s->is_refused, txid, &refused))
        return false;
    bool unknown = !taken && !refused, due = s->commits + s->rollbacks >= NOTE_EVERY;
    if ((unknown || due) && !bury(s, txid, &taken))
        return false;
    s->commits += taken;
    s->rollbacks += !taken;
    *ret_decision = taken ? HMQ_COMMIT : HMQ_ROLLBACK;
    return true;
}

bool store_done(struct store *s, unsigned char *done, uint32_t n)
{
    sqlite3_stmt *ids;
    int got;
    if (!prepare(s,
                 "SELECT id FROM orders UNION ALL "
                 "SELECT order_id FROM refused WHERE order_id NOT NULL",
                 &ids))
        return false;
    while ((got = sqlite3_step(ids)) == SQLITE_ROW) {
        sqlite3_int64 id = sqlite3_column_int64(ids, 0);
        if (id >= 1 && id <= n)
            done[id] = 1;
    }
    sqlite3_finalize(ids);
    return got == SQLITE_DONE;
}

const char *store_error(struct store *s)
{
    return s->db ? sqlite3_errmsg(s->db) : "no memory";
}
