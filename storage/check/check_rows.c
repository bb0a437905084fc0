/*
 * check_rows.c: the first pass: every row of the store has a key and a value that can be read. It also counts what needs no
 * other row, and gathers the ids of topics.
 */
#include "storage/check/check_rows.h"
#include "storage/disk/directory.h"

/* Lengths of keys: those that are fixed; 0: at least two bytes. */
struct check_kind {
    uint8_t letter;
    uint8_t key_bytes, other_bytes; /* other_bytes: a second length that it may have; 0: it has not */
    enum status (*decode)(struct slice value);
};

#define DECODER(name, type, function)                  \
    static enum status check_rows_decode_##name(struct slice value) \
    {                                                  \
        type row;                                      \
        return function(value, &row);                  \
    }

DECODER(meta, struct meta_row, meta_decode)
DECODER(topic, struct topic_row, topic_decode)
DECODER(group, struct group_row, group_decode)
DECODER(cgroup, struct cgroup_row, cgroup_decode)
DECODER(run, struct run_row, run_decode)
DECODER(skip, struct skip_row, skip_decode)
DECODER(txn, struct txn_row, txn_decode)
DECODER(pgroup, struct pgroup_row, pgroup_decode)
DECODER(pgroup_open, struct pgroup_open_row, pgroup_open_decode)
DECODER(half, struct half_row, half_decode)
DECODER(token, struct token_row, token_decode)
DECODER(attempts, struct attempts_row, attempts_decode)
DECODER(removed, struct removed_row, removed_decode)
DECODER(class, struct class_row, class_decode)
DECODER(dedup, struct dedup_row, dedup_decode)
DECODER(dedup_half, struct dedup_half_row, dedup_half_decode)

static enum status check_rows_decode_empty(struct slice value)
{
    return value.len == 0 ? ST_OK : ST_BAD;
}

static enum status check_rows_decode_expiry(struct slice value)
{
    return value.len == 8 ? ST_OK : ST_BAD;
}

static enum status check_rows_decode_timer(struct slice value)
{
    struct timer_row row;
    return value.len == 0 ? ST_OK : timer_decode(value, &row);
}

static enum status check_rows_decode_directory(struct slice value)
{
    struct record_info info;
    struct columns columns;
    if (directory_decode(0, value, &info) != ST_OK)
        return ST_BAD;
    return directory_columns(value, info.count, &columns);
}

/* With a class in its key it is another row. */
static enum status check_rows_decode_cursor(struct slice value)
{
    struct cursor_row row;
    struct class_cursor_row class;
    return cursor_decode(value, &row) == ST_OK || class_cursor_decode(value, &class) == ST_OK ? ST_OK : ST_BAD;
}

static const struct check_kind kinds[] = {
    {'A', 5, 0, check_rows_decode_attempts}, {'B', DIRECTORY_KEY_BYTES, 0, check_rows_decode_directory}, {'C', 9, 10, check_rows_decode_cursor},
    {'D', 0, 0, check_rows_decode_dedup},    {'E', 21, 0, check_rows_decode_expiry},  {'F', CLASS_KEY_BYTES, 0, check_rows_decode_class},
    {'G', 0, 0, check_rows_decode_group},    {'H', 0, 0, check_rows_decode_empty},    {'I', 37, 0, check_rows_decode_empty},
    {'J', 0, 0, check_rows_decode_empty},    {'K', 0, 0, check_rows_decode_empty},    {'L', 25, 0, check_rows_decode_half},
    {'M', 1, 0, check_rows_decode_meta},     {'N', 9, 0, check_rows_decode_token},    {'O', 9, 0, check_rows_decode_txn},
    {'P', 0, 0, check_rows_decode_pgroup},   {'Q', 0, 0, check_rows_decode_pgroup_open}, {'R', 21, 0, check_rows_decode_run},
    {'S', 0, 0, check_rows_decode_cgroup},   {'T', 0, 0, check_rows_decode_topic},    {'U', 0, 0, check_rows_decode_dedup_half},
    {'V', WAITING_KEY_BYTES, 0, check_rows_decode_run},     {'W', 0, 0, check_rows_decode_timer},    {'X', 9, 0, check_rows_decode_txn},
    {'Y', 13, 0, check_rows_decode_half},    {'Z', SKIPPED_KEY_BYTES, 0, check_rows_decode_skip},
    {'a', 0, 0, NULL}, /* check_user.c */
    {'d', 21, 0, check_rows_decode_removed},
};

static bool check_rows_key_fits(const struct check_kind *k, size_t len)
{
    return k->key_bytes == 0 ? len >= 2 : len == k->key_bytes || (k->other_bytes && len == k->other_bytes);
}

static void check_rows_one_row(struct checking *c, const struct check_kind *k, struct slice key, struct slice value)
{
    struct topic_row topic;
    c->sums.rows++;
    check_read(c, key.len + value.len);
    if (!check_rows_key_fits(k, key.len) || (k->decode && k->decode(value) != ST_OK)) {
        (void)kv_damaged_row(c->kv, key);
        c->blind = true;
        return;
    }
    if (k->letter == 'T' && topic_decode(value, &topic) == ST_OK) {
        check_ids_add(c, &c->topics, topic.id);
        c->sums.topics++;
    }
    c->pgroups += k->letter == 'P';
}

/* Rows of letters that no kind has. */
static void check_rows_between(struct checking *c, uint8_t from, uint8_t to)
{
    const uint8_t first[1] = {(uint8_t)(from + 1)}, end[1] = {to};
    if (first[0] >= to)
        return;
    struct kv_iter *it = kv_iter_new(c->kv, KV_STATE, NULL, slice_of(first, 1), slice_of(end, 1));
    if (it)
        kv_iter_first(it);
    struct slice key, value;
    if (check_row(c, it, &key, &value))
        (void)kv_damaged_row(c->kv, key);
    (void)check_rows_end(c, it);
}

void check_rows_all(struct checking *c)
{
    uint8_t before = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && c->failed == ST_OK; i++) {
        const struct check_kind *k = &kinds[i];
        struct key prefix;
        struct slice key, value;
        check_rows_between(c, before, k->letter);
        before = k->letter;
        key_begin(&prefix, (char)k->letter);
        struct kv_iter *it = check_rows(c, &prefix);
        for (; check_row(c, it, &key, &value); kv_iter_next(it))
            check_rows_one_row(c, k, key, value);
        (void)check_rows_end(c, it);
    }
    check_rows_between(c, before, 0xff);
    check_ids_sort(&c->topics);
}
