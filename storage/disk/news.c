/* news.c: makes routing keys of news (news.h). */
#include "storage/disk/news.h"

#include "protocol/base/text.h"
#include "storage/disk/keys.h"

uint64_t news_key(enum news_kind kind, struct slice a, struct slice b)
{
    struct key key;
    key_begin(&key, (char)kind);
    key_name(&key, a);
    key_bytes(&key, b);
    return text_hash(key_slice(&key));
}
