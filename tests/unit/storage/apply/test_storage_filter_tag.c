/* test_storage_filter_tag.c: tests FILTER TAG: which messages a group gets, in which order, and how far one POP looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/apply/pop_take.h"
#include "storage/group/group.h"
#include "storage/disk/columns.h"
#include "tests/lib/batch.h"
#include "tests/lib/shell.h"

static void group_filtered(struct shell *s, const char *group, const char *tags)
{
    struct topic *t = NULL;
    struct gt *gt = NULL;
    struct group_settings set;
    group_settings_default(&set);
    set.filter_kind = FILTER_TAG;
    set.filter = slice_str(tags);
    shell_add(s, "SEND x x"); /* the group must not be empty */
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    assert_int_equal(group_create(s->st, s->now_ms, slice_str(group), t, &set, &gt), ST_OK);
    assert_true(shell_write(s));
}

/* Many tags on both sides: the table finds what comparing one by one finds. */
static void many_tags(void **state)
{
    (void)state;
    static char filter[FILTER_BYTES_MAX];
    struct columns_maker m;
    struct buf wanted;
    buf_init(&wanted, 0);
    columns_maker_init(&m);
    char name[8];
    size_t len = 0;
    for (int i = 0; i < 900; i += 3) {
        len += (size_t)snprintf(filter + len, sizeof(filter) - len, "%s%d", i ? "||" : "", i);
    }
    for (uint32_t i = 0; i < 900; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        struct message msg = {.fields = MSG_TAG, .tag = slice_str(name)};
        columns_add(&m, i, &msg);
    }
    struct columns c = columns_made(&m, 900);
    assert_int_equal(columns_wanted(&c, slice_of(filter, len), &wanted), ST_OK);
    for (uint32_t i = 0; i < 900; i++) {
        uint32_t place = columns_tag(&c, i);
        assert_int_equal(wanted.data[place / 8] >> place % 8 & 1, i % 3 == 0);
    }
    buf_free(&wanted);
    columns_maker_free(&m);
}

static void only_its_tags(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a TAG eu");
    shell_add(s, "SEND t b TAG us");
    shell_add(s, "SEND t c");
    shell_add(s, "SEND t d TAG EU");
    shell_add(s, "SEND t e TAG eu");
    shell_add(s, "SEND t f TAG ap");
    assert_true(shell_write(s));
    group_filtered(s, "g", "eu||ap");
    shell_expect(s, "[t:0:0#1=a t:0:4#1=e t:0:5#1=f]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "3", "ACK g t:0:0-5#1");
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:2#1=c t:0:3#1=d t:0:4#1=e t:0:5#1=f]", "POP all t COUNT 9");
    shell_do(s, "SEND t g TAG us");
    shell_do(s, "SEND t h TAG ap TTL 1s");
    shell_do(s, "SEND t i TAG ap");
    s->now_ms += 2000;
    shell_expect(s, "[t:0:8#1=i]", "POP g t COUNT 9");
    shell_reopen(s);
    shell_expect(s, "[]", "POP g t");
    s->now_ms += 60000;
    shell_expect(s, "[t:0:8#2=i]", "POP g t COUNT 9");
}

/* Also of the group that is open, and where the rows are damaged. */
static void in_the_making(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    group_filtered(s, "g", "eu");
    shell_add(s, "SEND t a TAG us");
    shell_add(s, "SEND t b TAG eu");
    uint32_t i = shell_add(s, "POP g t COUNT 9");
    assert_int_equal(shell_outcome(s, i)->n_grants, 1);
    assert_int_equal(shell_outcome(s, i)->grants[0].base, 1);
    shell_add(s, "SEND t c TAG us");
    shell_add(s, "SEND t d TAG eu");
    assert_true(shell_write(s));
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    struct key key = key_directory(t->id, 0, 0);
    kv_put(s->st->kv, KV_STATE, key_slice(&key), SLICE_LIT("x"));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    shell_reload(s);
    shell_expect(s, "[t:0:3#1=d]", "POP g t COUNT 9");
}

/* Messages of several queues are taken in the order in which they were sent, whatever was dropped between. */
static void in_order_over_queues(void **state)
{
    struct shell *s = *state;
    char want[400];
    size_t len = (size_t)snprintf(want, sizeof(want), "[");
    shell_do(s, "TOPIC CREATE t QUEUES 3");
    uint32_t next[3] = {0};
    for (int i = 0; i < 60; i++) {
        uint32_t q = (uint32_t)i % 3; /* at even distances, so that POP knows the place of each */
        bool wanted = i % 7 == 0 || i % 10 == 3;
        shell_add(s, "SEND t %d QUEUE %u%s", i, q, wanted ? " TAG x" : i % 2 ? " TAG y" : "");
        if (wanted) {
            len += (size_t)snprintf(want + len, sizeof(want) - len, "%st:%u:%u#1=%d", len > 1 ? " " : "", q, next[q], i);
        }
        next[q]++;
        if (i % 30 == 29)
            assert_true(shell_write(s));
    }
    (void)snprintf(want + len, sizeof(want) - len, "]");
    group_filtered(s, "g", "x");
    shell_expect(s, want, "POP g t COUNT 100");
    group_filtered(s, "h", "x");
    for (const char *at = want; (at = strchr(at, '=')); at++) {
        char one[20];
        (void)snprintf(one, sizeof(one), "%.*s]", (int)strcspn(at, " ]"), at);
        assert_non_null(strstr(shell_do(s, "POP h t"), one));
    }
}

static void produce(struct shell *s, int n, bool last)
{
    struct batch b;
    batch_init(&b);
    for (int i = 0; i < n; i++)
        batch_add(&b, (struct message){.body = SLICE_LIT("x"), .fields = MSG_TAG,
                                       .tag = last && i == n - 1 ? SLICE_LIT("rare") : SLICE_LIT("usual")});
    const struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"),
                                  SLICE_LIT("0")};
    shell_do_words(s, words, 5);
    batch_free(&b);
}

/* One POP looks at so many messages; the next one goes on. */
static void bounded(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 5; i++)
        produce(s, 9000, i == 4);
    group_filtered(s, "g", "rare");
    uint32_t n = 0;
    const struct outcome *out = NULL;
    do {
        out = shell_outcome(s, shell_add(s, "POP g t"));
        n++;
        if (out->n_grants)
            break;
        assert_true(out->nothing && out->retry_at_ms == s->now_ms);
        assert_true(shell_write(s));
    } while (n < 9);
    assert_int_equal(n, 45000 / POP_EXAMINED_MAX + 1);
    assert_int_equal(out->grants[0].base, 44999);
    assert_true(shell_write(s));
    uint32_t i = shell_add(s, "POP g t");
    assert_true(shell_outcome(s, i)->nothing && shell_outcome(s, i)->retry_at_ms == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_tags),
        SHELL_TEST(only_its_tags),
        SHELL_TEST(in_the_making),
        SHELL_TEST(in_order_over_queues),
        SHELL_TEST(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
