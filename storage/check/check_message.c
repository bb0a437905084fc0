/* check_message.c: reads the messages of a record, and looks up what the store must have of each (check_message.h). */
#include "storage/check/check_message.h"

#include "protocol/base/text.h"

static bool check_message_is_removed(struct check_topic *t, uint32_t queue, uint64_t offset)
{
    uint64_t n = offset / REMOVED_BITS;
    if (!(t->row->flags & TOPIC_HAS_REMOVED))
        return false;
    if (!t->removed_read || t->removed_queue != queue || t->removed_n != n) {
        struct key key = key_removed(t->row->id, queue, n);
        t->removed = (struct removed_row){0};
        if (check_has(t->c, &key) && removed_decode(buf_slice(&t->c->value), &t->removed) != ST_OK)
            t->removed = (struct removed_row){0};
        t->removed_read = true;
        t->removed_queue = queue;
        t->removed_n = n;
    }
    return t->removed.bits[offset % REMOVED_BITS / 64] >> (offset % 64) & 1;
}

bool check_topic_keeps(struct check_topic *t, uint32_t queue, uint64_t offset)
{
    return queue < t->row->n_queues && offset >= t->row->floor[queue] && !check_message_is_removed(t, queue, offset);
}

static void check_message_say_message(struct check_queue *q, uint64_t offset, const char *what)
{
    check_say(q->c, "message %s:%u:%llu %s", q->of->quoted, q->queue, (unsigned long long)offset, what);
}

static void check_message_expiry(struct check_queue *q, uint64_t offset, const struct message *m)
{
    struct key key = key_expiry(q->topic->id, q->queue, offset);
    q->of->expiries++;
    bool there = check_has(q->c, &key);
    struct cursor c = cursor_of(buf_slice(&q->c->value));
    if (!there || (int64_t)cursor_u64(&c) != m->expires_ms) {
        q->of->expiries -= !there;
        check_message_say_message(q, offset, "has a TTL, and no row that says when it expires");
    }
}

static void check_message_index(struct check_queue *q, uint64_t offset, int64_t stored_ms, const struct message *m)
{
    for (uint32_t i = 0; i < m->n_keys; i++) {
        uint64_t hash = text_hash(m->keys[i]);
        bool again = false;
        for (uint32_t k = 0; k < i && !again; k++)
            again = text_hash(m->keys[k]) == hash;
        if (again)
            continue;
        struct key key = key_index(q->topic->id, hash, stored_ms, q->queue, offset);
        if (check_has(q->c, &key))
            q->of->keys++;
        else
            check_message_say_message(q, offset, "has a KEY that the index does not have");
    }
}

/* What the columns of the directory say of it. */
static bool check_message_columns(const struct columns *c, uint32_t i, const struct message *m)
{
    uint8_t priority = m->fields & MSG_PRIORITY ? m->priority : MESSAGE_PRIORITY_DEFAULT;
    uint32_t order = m->fields & MSG_ORDER ? columns_key_hash(m->order) : 0;
    bool has_tag = columns_tag(c, i) != 0;
    return columns_priority(c, i) == priority && columns_key(c, i) == order && has_tag == ((m->fields & MSG_TAG) != 0);
}

/* How many messages of each PRIORITY it has; each but the default one has a row F. */
static void check_message_classes(struct check_queue *q, const struct record_info *info, const uint32_t counts[static CLASSES_MAX])
{
    struct class_row row;
    for (uint8_t class = 0; class < CLASSES_MAX; class++) {
        if (counts[class] == 0 || class == MESSAGE_PRIORITY_DEFAULT)
            continue;
        struct key key = key_class(q->topic->id, q->queue, class, info->base);
        if (!check_has(q->c, &key) ||
            (class_decode(buf_slice(&q->c->value), &row) == ST_OK && row.count != counts[class]))
            check_say(q->c, "messages %s:%u:%llu-%llu have PRIORITY %u, and no row that counts them", q->of->quoted, q->queue,
                      (unsigned long long)info->base, (unsigned long long)(info->base + info->count - 1), class);
    }
}

void check_messages(struct check_queue *q, const struct record_info *info, struct slice row, struct slice record,
                    const struct record_header *h)
{
    struct columns columns = {0};
    struct message m;
    uint32_t classes[CLASSES_MAX] = {0};
    bool columns_sound = directory_columns(row, info->count, &columns) == ST_OK;
    for (uint32_t i = 0; i < h->count && q->c->failed == ST_OK; i++) {
        uint64_t offset = info->base + i;
        if (record_message(record, h, i, &m) != ST_OK) {
            q->hurt = true;
            check_message_say_message(q, offset, "cannot be decoded");
            continue;
        }
        q->c->sums.messages++;
        if (columns_sound && !check_message_columns(&columns, i, &m))
            check_message_say_message(q, offset, "is not what the directory says of it");
        if (m.fields & MSG_PRIORITY && m.priority < CLASSES_MAX)
            classes[m.priority]++;
        if (!check_topic_keeps(q->of, q->queue, offset))
            continue;
        if (m.fields & MSG_TTL)
            check_message_expiry(q, offset, &m);
        if (m.n_keys)
            check_message_index(q, offset, info->stored_ms, &m);
    }
    check_message_classes(q, info, classes);
}
