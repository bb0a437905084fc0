/* drop.h: deleting the messages of a topic, or the topic. */
#ifndef HALFMQ_STORAGE_DROP_H
#define HALFMQ_STORAGE_DROP_H

#include "storage/model/topic.h"

/* Deletes all messages; offsets go on. Delayed messages stay, because they are not in a queue yet. What groups have leased
 * and waiting is void from here on (group.h). */
void drop_messages(struct state *st, struct topic *t);

/* Deletes the topic: its rows and the struct. The groups on it are gone with that; gone.h deletes their rows. */
void drop_topic(struct state *st, struct topic *t);

#endif
