/* test_storage_columns.c: tests the columns of the directory: golden bytes, any bytes, and that they say the same
 * wherever they are read from: a tail, the open group, the store, or the record where the row is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/columns.h"
#include "storage/model/log.h"
#include "storage/model/log_columns.h"
#include "tests/lib/batch.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static struct slice tag_text(const struct columns *c, uint32_t place)
{
    struct cursor at = cursor_of(c->dictionary);
    struct slice tag = slice_of(NULL, 0);
    for (uint32_t i = 0; i < place; i++)
        tag = cursor_sized(&at);
    assert_false(at.bad);
    return tag;
}

static void assert_columns(const struct columns *c, uint32_t i, const struct message *m)
{
    struct slice tag = tag_text(c, columns_tag(c, i));
    assert_true(slice_equal(tag, m->fields & MSG_TAG ? m->tag : slice_of(NULL, 0)));
    assert_int_equal(columns_key(c, i), m->fields & MSG_ORDER ? columns_key_hash(m->order) : 0);
    uint8_t priority = m->fields & MSG_PRIORITY ? m->priority : MESSAGE_PRIORITY_DEFAULT;
    assert_int_equal(columns_priority(c, i), priority);
    assert_true(c->classes == 0 ? priority == MESSAGE_PRIORITY_DEFAULT : c->classes >> priority & 1);
}

static const struct message plain = {.fields = 0};
static const struct message tagged = {.fields = MSG_TAG, .tag = {(const uint8_t *)"eu", 2}};
static const struct message other = {.fields = MSG_TAG | MSG_ORDER, .tag = {(const uint8_t *)"us", 2},
                                     .order = {(const uint8_t *)"k", 1}};
static const struct message urgent = {.fields = MSG_PRIORITY, .priority = 9};

static void add(struct columns_maker *m, const struct message *const *all, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        columns_add(m, i, all[i]);
}

static void assert_encoded(const struct message *const *all, uint32_t n, const void *want, size_t len)
{
    struct columns_maker m;
    struct columns c;
    struct buf out;
    buf_init(&out, 0);
    columns_maker_init(&m);
    add(&m, all, n);
    c = columns_made(&m, n);
    for (uint32_t i = 0; i < n; i++)
        assert_columns(&c, i, all[i]);
    columns_encode(&m, n, &out);
    assert_false(out.failed);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, want, len);
    assert_int_equal(columns_decode(buf_slice(&out), n, &c), ST_OK);
    for (uint32_t i = 0; i < n; i++)
        assert_columns(&c, i, all[i]);
    buf_free(&out);
    columns_maker_free(&m);
}

static void golden(void **state)
{
    (void)state;
    const struct message *mixed[] = {&plain, &tagged, &other, &tagged, &urgent};
    static const uint8_t want[] = {2, 12, 2, 2, 'e', 'u', 2, 'u', 's', 0, 1, 2, 1, 0,                         /* tags */
                                   3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x1d, 0x88, 0xda, 0x4f, 0, 0, 0, 0, 0, 0, 0, 0, /* keys */
                                   4, 7, 0x90, 4, 4, 4, 4, 4, 9};
    assert_encoded(mixed, 5, want, sizeof(want));
    const struct message *even[] = {&tagged, &tagged, &tagged};
    assert_encoded(even, 3, "\x02\x05\x01\x02" "eu\x01", 7);
    const struct message *urgents[] = {&urgent, &urgent};
    assert_encoded(urgents, 2, "\x04\x03\x80\x04\x09", 5);
    const struct message *none[] = {&plain, &plain};
    assert_encoded(none, 2, "", 0);
}

static void any_bytes(void **state)
{
    (void)state;
    const struct message *mixed[] = {&plain, &tagged, &other, &tagged, &urgent};
    struct columns_maker m;
    struct columns c;
    struct buf out;
    buf_init(&out, 0);
    columns_maker_init(&m);
    add(&m, mixed, 5);
    columns_encode(&m, 5, &out);
    for (size_t at = 0; at < out.len; at++) {
        uint8_t *copy = malloc(at ? at : 1); /* of the exact size, so that a sanitizer sees a read past the end */
        assert_non_null(copy);
        memcpy(copy, out.data, at);
        bool whole = columns_decode(slice_of(copy, at), 5, &c) == ST_OK; /* between two columns */
        for (uint32_t i = 0; whole && i < 5; i++)
            (void)tag_text(&c, columns_tag(&c, i));
        free(copy);
        for (int with = 1; with < 256; with++) {
            out.data[at] ^= (uint8_t)with;
            whole = columns_decode(buf_slice(&out), 5, &c) == ST_OK;
            for (uint32_t i = 0; whole && i < 5; i++) {
                (void)tag_text(&c, columns_tag(&c, i));
                assert_true(columns_priority(&c, i) < CLASSES_MAX);
                (void)columns_key(&c, i);
            }
            out.data[at] ^= (uint8_t)with;
        }
    }
    assert_int_equal(columns_decode(SLICE_LIT("\x63\x02xx"), 5, &c), ST_OK); /* of a later version */
    buf_free(&out);
    columns_maker_free(&m);
}

#define MANY 3000

/* Dictionaries of all sizes, also those whose places need two bytes. */
static void many_tags(void **state)
{
    (void)state;
    struct prng p = prng_start();
    static char names[MANY][8];
    static struct message all[MANY];
    struct columns_maker m;
    struct buf out;
    buf_init(&out, 0);
    columns_maker_init(&m);
    for (uint32_t distinct = 1; distinct < 2 * MANY; distinct = distinct * 3 + 1) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint64_t k = prng_below(&p, distinct);
            int len = snprintf(names[i], sizeof(names[i]), "%llu", (unsigned long long)k);
            struct slice text = slice_of(names[i], (size_t)len);
            all[i] = (struct message){.tag = text, .order = text, .priority = (uint8_t)(k % 10)};
            all[i].fields = (prng_below(&p, 4) ? MSG_TAG : 0) | (k % 3 ? MSG_ORDER : 0) | (k % 5 ? MSG_PRIORITY : 0);
            columns_add(&m, i, &all[i]);
        }
        struct columns c = columns_made(&m, MANY);
        for (uint32_t i = 0; i < MANY; i++)
            if (i % 7 == 0)
                assert_columns(&c, i, &all[i]);
        columns_encode(&m, MANY, &out);
        assert_int_equal(columns_decode(buf_slice(&out), MANY, &c), ST_OK);
        for (uint32_t i = 0; i < MANY; i++)
            assert_columns(&c, i, &all[i]);
        buf_reset(&out, KIB(64));
        columns_maker_reset(&m, 0);
    }
    buf_free(&out);
    columns_maker_free(&m);
}

/* ---- the same columns, wherever they come from ---- */

static struct topic *topic_named(struct shell *s)
{
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    return t;
}

#define MESSAGES 9

static const struct message want[MESSAGES] = {
    {.fields = 0},
    {.fields = MSG_TAG, .tag = {(const uint8_t *)"a", 1}},
    {.fields = MSG_TAG | MSG_ORDER, .tag = {(const uint8_t *)"b", 1}, .order = {(const uint8_t *)"k", 1}},
    {.fields = MSG_ORDER, .order = {(const uint8_t *)"l", 1}},
    {.fields = 0},
    {.fields = MSG_TAG, .tag = {(const uint8_t *)"a", 1}},
    {.fields = 0},
    {.fields = MSG_TAG | MSG_ORDER, .tag = {(const uint8_t *)"a", 1}, .order = {(const uint8_t *)"k", 1}},
    {.fields = MSG_TAG, .tag = {(const uint8_t *)"c", 1}},
};

static void produce(struct shell *s)
{
    struct batch b;
    batch_init(&b);
    for (int i = 5; i < 8; i++) {
        struct message m = want[i];
        m.body = SLICE_LIT("x");
        batch_add(&b, m);
    }
    const struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"),
                                  SLICE_LIT("0")};
    shell_add_words(s, words, 5);
    batch_free(&b);
}

/* Backwards, so that each is asked for after one of another record. */
static void assert_all(struct shell *s)
{
    struct topic *t = topic_named(s);
    for (uint32_t i = MESSAGES; i-- > 0;) {
        struct record_info info;
        struct columns c;
        assert_int_equal(log_locate(s->st, t, 0, i, &info), ST_OK);
        assert_int_equal(log_columns(s->st, t, 0, &info, &c), ST_OK);
        assert_columns(&c, (uint32_t)(i - info.base), &want[i]);
        bool tags = false, keys = false;
        for (uint64_t k = info.base; k < info.base + info.count; k++) {
            tags = tags || want[k].fields & MSG_TAG;
            keys = keys || want[k].fields & MSG_ORDER;
        }
        assert_int_equal(info.columns, (tags ? COLUMN_BIT(COLUMN_TAGS) : 0) | (keys ? COLUMN_BIT(COLUMN_KEYS) : 0));
        assert_int_equal(info.classes, 0);
    }
}

static void each_row(struct shell *s, bool remove)
{
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_STATE, NULL, SLICE_LIT("B"), SLICE_LIT("C"));
    assert_non_null(it);
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it)) {
        if (remove)
            kv_del(s->st->kv, KV_STATE, kv_iter_key(it));
        else
            kv_put(s->st->kv, KV_STATE, kv_iter_key(it), SLICE_LIT("x"));
    }
    kv_iter_free(it);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
}

static void the_same_everywhere(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t 0");
    shell_add(s, "SEND t 1 TAG a");
    shell_add(s, "SEND t 2 TAG b ORDER k");
    shell_add(s, "SEND t 3 ORDER l");
    shell_add(s, "SEND t 4");
    produce(s);
    shell_add(s, "SEND t 8 TAG c");
    assert_all(s); /* a record of the store, two that this group has put, and a tail */
    assert_true(shell_write(s));
    assert_all(s);
    shell_reopen(s);
    assert_all(s);
    each_row(s, false);
    shell_reload(s);
    assert_all(s); /* the records */
    each_row(s, true);
    shell_reload(s);
    topic_named(s)->queues[0].end = MESSAGES; /* without any row the queue seems to be empty */
    assert_all(s);
}

/* What a group has put and then purged leaves nothing. */
static void rows_go_with_records(void **state)
{
    struct shell *s = *state;
    shell_add(s, "SEND t a TAG x");
    shell_add(s, "TOPIC PURGE t");
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'B'), 0);
    shell_add(s, "SEND t a TAG x");
    shell_add(s, "TOPIC DELETE t");
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'B'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(many_tags),
        SHELL_TEST(the_same_everywhere),
        SHELL_TEST(rows_go_with_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
