/* drop.h: taking away what a topic has: its messages, or all of it. */
#ifndef HALFMQ_STORAGE_DROP_H
#define HALFMQ_STORAGE_DROP_H

#include "storage/model/topic.h"

/* Drops all messages; offsets go on. Delayed messages are none yet and stay. */
void drop_messages(struct state *st, struct topic *t);

/* Drops the topic, its rows and the struct. Groups on it are the caller's to drop first. */
void drop_topic(struct state *st, struct topic *t);

#endif
