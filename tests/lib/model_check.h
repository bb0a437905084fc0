/* model_check.h: does the store hold what the model holds? Asked between groups, by queries. */
#ifndef HALFMQ_TESTS_MODEL_CHECK_H
#define HALFMQ_TESTS_MODEL_CHECK_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"
#include "tests/lib/store.h"

/* Complains (model_complain) where they differ. Makes the model forget some transactions that are decided,
 * so that there is room for others. */
void model_check(struct model *m, struct store *s, struct prng *p);

#endif
