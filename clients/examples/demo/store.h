/*
 * store.h: the order service's database.
 *
 *   orders    orders that were taken, with the transaction that announces them
 *   refused   transactions that will never be taken: refused by a rule, or rolled back at a check-back
 *             because the database did not know them (a tombstone)
 *   products  what is in stock
 *   asked     how many check-backs were answered commit and rollback, for the report. The counts are
 *             written together with other changes, so a kill can lose some.
 *
 * Everything depends on one rule: a transaction is in `orders` or in `refused`, never in both, and it is
 * never removed from either. Each write uses BEGIN IMMEDIATE, so a check-back about an order that is being
 * taken is answered either before or after that, and the answer stays true.
 */
#ifndef DEMO_STORE_H
#define DEMO_STORE_H

#include <halfmq.h>
#include <sqlite3.h>

#include "shop.h"

struct store {
    sqlite3 *db;
    sqlite3_stmt *is_order, *is_refused, *take, *refuse, *reserve, *asked;
    unsigned commits, rollbacks; /* answered and not yet in `asked` */
};

enum fate {
    FATE_TAKEN, /* commit it */
    FATE_REFUSED, /* by a rule: roll it back */
    FATE_TOO_LATE /* a check-back was answered "rollback" meanwhile: needs a new transaction */
};

/* Opens, and creates what is missing. A store belongs to one thread. */
bool store_open(struct store *s, const char *path, const struct shop *shop);
void store_close(struct store *s);

bool store_begin(struct store *s);
bool store_commit(struct store *s);
void store_rollback(struct store *s);

/* Takes or refuses an order; between begin and commit. False: the database failed. */
bool store_place(struct store *s, const struct order *order, hmq_txid txid, enum fate *ret_fate);

/*
 * Tells what became of a transaction. If the database does not know it, it first inserts a tombstone, in a
 * database transaction of its own, so that the answer "rollback" stays true.
 */
bool store_answer(struct store *s, hmq_txid txid, enum hmq_decision *ret_decision);

/* Sets done[id] for each order, up to n, that was taken or refused by a rule. */
bool store_done(struct store *s, unsigned char *done, uint32_t n);

const char *store_error(struct store *s);

#endif
