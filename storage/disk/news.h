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

#include "protocol/base/text.h"
#include "storage/disk/keys.h"

enum news_kind { NEWS_TOPIC, NEWS_GROUP, NEWS_PGROUP, NEWS_GONE };

/* b: empty where the kind has one name only. */
static inline uint64_t news_key(enum news_kind kind, struct slice a, struct slice b)
{
    struct key key;
    key_begin(&key, (char)kind);
    key_name(&key, a);
    key_bytes(&key, b);
    return text_hash(key_slice(&key));
}

#endif
