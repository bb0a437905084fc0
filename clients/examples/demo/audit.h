/*
 * audit.h: the verdict: do both groups hold exactly the orders of the database, each published once?
 */
#ifndef DEMO_AUDIT_H
#define DEMO_AUDIT_H

#include "ledger.h"
#include "watch.h"

/* Prints what it finds. The number of faults; 0 is what it should be. */
unsigned audit_group(struct ledger *l, sqlite3 *db);

/* All orders decided, nothing pending at the broker. The number of faults. */
unsigned audit_rest(const struct figures *f, uint32_t n_orders);

#endif
