/*
 * store.h: the order service's database.
 *
 *   orders    an order that was taken, with the transaction that announces it
 *   refused   a transaction that will never be taken: refused by a rule, or answered "rollback" to the
 *             broker when nothing was known of it (the tombstone)
 *   products  what is in stock
 *   asked     how many questions of the broker were answered how, for the report (noted along with
 *             other things, so that a kill forgets some)
 *
 * The one rule that all depends on: a transaction is in `orders` or in `refused`, never in both, and
 * never leaves either. Each write goes through BEGIN IMMEDIATE, so a question that comes while the
 * same order is being taken is answered before or after it, and what is answered stays true.
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
    FATE_TAKEN, /* commit */
    FATE_REFUSED, /* by a rule: rollback */
    FATE_TOO_LATE /* the broker was told "rollback" meanwhile: needs a new transaction */
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
 * What became of this transaction? What is known already is only read; what is not becomes a
 * tombstone, in a database transaction of its own, before the answer is given.
 */
bool store_answer(struct store *s, hmq_txid txid, enum hmq_decision *ret_decision);

/* Sets done[id] for each order, up to n, that was taken or refused by a rule. */
bool store_done(struct store *s, unsigned char *done, uint32_t n);

const char *store_error(struct store *s);

#endif
