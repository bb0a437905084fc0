/*
 * model_order.h: the part of the model that knows ORDERED groups.
 *
 *   a message   may be delivered where no other of its key is leased, or waits for a retry, and no earlier one is left
 *   one that failed and must not be the next of its key (which takes a group that became ordered with leases out) counts
 *   as fresh again, with the attempts that it had
 *
 * Which fresh messages POP has passed over, nobody can tell from outside, so the model does not know.
 */
#ifndef HALFMQ_TESTS_MODEL_ORDER_H
#define HALFMQ_TESTS_MODEL_ORDER_H

#include "tests/lib/model.h"
#include "tests/lib/shell.h"

/* Remembers the ORDER key of the message with that serial number; 0: none. */
void model_key(struct model *m, uint32_t serial, uint32_t key);

/* True where the ordered group may be delivered the fresh message, or the waiting one that is due. */
bool model_may_go(const struct model *m, int group, int topic, int queue, uint32_t offset);

/* The ordered group has got a message that was fresh: earlier ones of its key had expired. */
void model_went(struct model *m, int group, int topic, int queue, uint32_t offset);

/* A delivery of the message failed, in any group: what it is now. */
enum m_state model_failed(const struct model *m, int group, int topic, int queue, uint32_t offset);

/* Asks the store how far POP has come on the queues of the topic; 0 where the group is not on it. */
void model_cursors(struct shell *s, int group, int topic, uint32_t cursors[M_QUEUES]);

/* The group becomes ordered, or ceases to be. cursors: of its M_QUEUES queues, up to where POP has come. */
void model_switch(struct model *m, int group, int topic, bool on, const uint32_t *cursors);

#endif
