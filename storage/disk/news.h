/*
 * news.h: what news of a group are about, as a routing key: who waits for something keeps its key and looks again
 * when news name it.
 *
 *   NEWS_TOPIC   topic           messages can be read
 *   NEWS_GROUP   group, topic    messages went back to waiting and can be delivered again
 *   NEWS_PGROUP  producer group  check-backs are due
 *   NEWS_GONE    group, topic    it was deleted
 *                topic
 *
 * A key is a hash: where two of them collide, somebody looks again for nothing.
 */
#ifndef HALFMQ_STORAGE_NEWS_H
#define HALFMQ_STORAGE_NEWS_H

#include "protocol/base/slice.h"

enum news_kind { NEWS_TOPIC, NEWS_GROUP, NEWS_PGROUP, NEWS_GONE };

/* b: empty where the kind has one name only. */
uint64_t news_key(enum news_kind kind, struct slice a, struct slice b);

#endif
