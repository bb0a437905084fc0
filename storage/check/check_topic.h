/* check_topic.h: the pass over topics, queues, records and messages. */
#ifndef HALFMQ_STORAGE_CHECK_TOPIC_H
#define HALFMQ_STORAGE_CHECK_TOPIC_H

#include "storage/check/check_base.h"

void check_topic_all(struct checking *c);

#endif
