/*
 * model_class.h: the part of the model that knows PRIORITY and FILTER TAG.
 *
 *   a message   has a priority (0..9) and a tag (1..M_TAGS; 0: none), by its serial number
 *   a group     may have a filter: bit t of `tags`, messages with tag t; 0: none. What it does not want is never delivered,
 *               counts nowhere, and is passed
 *   POP         takes fresh messages of higher priority first; of equal ones none that is younger than one that is left
 *               (by commit groups). A group that is ORDERED does not look at priorities
 *   waiting     goes before fresh ones, unless these have a higher priority than some of what waits
 */
#ifndef HALFMQ_TESTS_MODEL_CLASS_H
#define HALFMQ_TESTS_MODEL_CLASS_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"

#define M_TAGS 3

/* Remembers what the message with that serial number has. */
void model_rank(struct model *m, uint32_t serial, uint32_t priority, uint32_t tag);

uint32_t model_priority(const struct model *m, int topic, int queue, uint32_t offset);

/* Does the group want the message, as far as its filter says? */
bool model_wants(const struct model *m, int group, int topic, int queue, uint32_t offset);

/* Picks a FILTER TAG: as the words of GROUP CREATE. Returns its bits. */
uint32_t model_tags_pick(struct prng *p, const char **ret_text);

/* The group has got a fresh message, or a waiting one, in this POP. */
void model_class_took(const struct model *m, struct m_pop *p, int queue, uint32_t offset, bool fresh);

/* Judges what a POP of a group that is not ordered has left. */
void model_class_left(const struct model *m, const struct m_pop *p);

#endif
