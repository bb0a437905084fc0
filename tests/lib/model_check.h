/* model_check.h: compares the store with the model, by queries between commit groups. */
#ifndef HALFMQ_TESTS_MODEL_CHECK_H
#define HALFMQ_TESTS_MODEL_CHECK_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

/* Complains (model_complain) if they differ. Removes some decided transactions from the model, to make room for
 * others. */
void model_check(struct model *m, struct shell *s, struct prng *p);

#endif
