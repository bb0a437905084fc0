/*
 * audit.h: checks that both groups received exactly the orders of the database, each published once.
 */
#ifndef DEMO_AUDIT_H
#define DEMO_AUDIT_H

#include "ledger.h"
#include "watch.h"

/* Compares one group with the database and prints the result. Returns the number of faults. */
unsigned audit_group(struct ledger *l, sqlite3 *db);

/* Checks that all orders are decided and that no transaction is pending. Returns the number of faults. */
unsigned audit_rest(const struct figures *f, uint32_t n_orders);

#endif
