/* check_rows.h: the first pass: every row can be read, and the ids of topics are gathered. */
#ifndef HALFMQ_STORAGE_CHECK_ROWS_H
#define HALFMQ_STORAGE_CHECK_ROWS_H

#include "storage/check/check_base.h"

void check_rows_all(struct checking *c);

#endif
