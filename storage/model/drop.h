/* drop.h: deleting the messages of a topic, or the topic. */
#ifndef HALFMQ_STORAGE_DROP_H
#define HALFMQ_STORAGE_DROP_H

#include "storage/model/topic.h"

/* Deletes all messages; offsets go on. Delayed messages stay, because they are not in a queue yet. */
void drop_messages(struct state *st, struct topic *t);

/* Deletes the topic: its rows and the struct. The caller has deleted the groups on it. */
void drop_topic(struct state *st, struct topic *t);

#endif
