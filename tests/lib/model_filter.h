/*
 * model_filter.h: groups with a FILTER WHERE in the model. Whether a message matches follows from its place alone, so the
 * cells of those that do not match are done from the beginning, also of those that are not there yet.
 */
#ifndef HALFMQ_TESTS_MODEL_FILTER_H
#define HALFMQ_TESTS_MODEL_FILTER_H

#include <stddef.h>

#include "tests/lib/model.h"
#include "tests/lib/prng.h"

#define M_FILTER_SIZE 400

/* Picks a filter: as the words of GROUP CREATE, and which messages match. */
struct m_filter {
    char text[M_FILTER_SIZE];
    bool wants[M_QUEUES][M_OFFSETS];
};
void model_filter_pick(struct m_filter *f, struct prng *p);

/* The group was made with it. */
void model_filter_set(const struct model *m, struct m_gt *gt, const struct m_filter *f);

#endif
