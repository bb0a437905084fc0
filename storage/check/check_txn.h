/* check_txn.h: the pass over transactions. */
#ifndef HALFMQ_STORAGE_CHECK_TXN_H
#define HALFMQ_STORAGE_CHECK_TXN_H

#include "storage/check/check_base.h"

void check_txn_all(struct checking *c);

#endif
