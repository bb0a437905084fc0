/* model_grants.h: what a POP was granted, for the model. */
#ifndef HALFMQ_TESTS_MODEL_GRANTS_H
#define HALFMQ_TESTS_MODEL_GRANTS_H

#include "storage/outcome.h"
#include "tests/lib/model.h"

/* Judges the grants that are of the POP's topic. Returns how many messages are of others. */
uint32_t model_grants(struct model *m, struct m_pop *pop, const struct outcome *out, int64_t lease_ms);

#endif
