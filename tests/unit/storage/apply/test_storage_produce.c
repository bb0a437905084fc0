/* test_storage_produce.c: tests that PRODUCE stores a batch as it is, in the order of its commit group, and that a
 * refused batch changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/batch.h"
#include "tests/lib/shell.h"

static uint32_t add(struct shell *s, const char *topic, struct slice batch, const char *word,
                    const char *value)
{
    struct slice words[] = {SLICE_LIT("PRODUCE"), slice_str(topic), batch, slice_str(word),
                            slice_str(value)};
    return shell_add_words(s, words, word ? 5 : 3);
}

static const char *produce(struct shell *s, const char *topic, struct slice batch, const char *word,
                           const char *value)
{
    uint32_t i = add(s, topic, batch, word, value);
    assert_true(shell_write(s));
    return shell_reply(s, i);
}

/* Makes a batch of n bodies: a, b, c ..., starting with `first`. */
static struct slice letters(struct batch *b, char first, int n)
{
    batch_init(b);
    for (int i = 0; i < n; i++) {
        char body[2] = {(char)(first + i), 0};
        batch_add(b, (struct message){.body = slice_of(body, 1)});
    }
    return batch_end(b);
}

static void stored_as_one_piece(void **state)
{
    struct shell *s = *state;
    struct batch b, d;
    struct slice abc = letters(&b, 'a', 3), xy = letters(&d, 'x', 2);
    assert_string_equal(produce(s, "t", abc, NULL, NULL), "{queue:0 offset:0 count:3}");
    assert_string_equal(produce(s, "t", xy, NULL, NULL), "{queue:1 offset:0 count:2}"); /* in turn */
    assert_string_equal(produce(s, "t", xy, "QUEUE", "0"), "{queue:0 offset:3 count:2}");
    shell_expect(s, "[t:0:0=a t:0:1=b t:0:2=c t:0:3=x t:0:4=y]", "READ t 0 0 COUNT 9");
    shell_reopen(s);
    assert_string_equal(produce(s, "t", abc, "QUEUE", "0"), "{queue:0 offset:5 count:3}");
    shell_expect(s, "t:0:7=c", "GET t:0:7"); /* the checksum is right */
    const struct tally *t = state_tally(s->st);
    assert_int_equal(t->messages_in, 3);
    assert_int_equal(t->bytes_in, 3);
    batch_free(&b);
    batch_free(&d);
}

/* The bytes after the header are those of the client's batch. */
static void bytes_are_kept(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    produce(s, "t", abc, NULL, NULL);
    struct key from = key_log(0, 0, 0), to = key_log(UINT64_MAX, 0, 0);
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_LOG, NULL, key_slice(&from), key_slice(&to));
    kv_iter_first(it);
    assert_true(kv_iter_valid(it));
    struct slice record = kv_iter_value(it);
    struct record_header h;
    assert_int_equal(record_verify(record, &h), ST_OK);
    assert_int_equal(record.len, abc.len);
    assert_memory_equal(record.data + RECORD_HEADER_BYTES, abc.data + RECORD_HEADER_BYTES,
                        abc.len - RECORD_HEADER_BYTES);
    kv_iter_free(it);
    batch_free(&b);
}

/* Messages sent before it in the same commit group are stored before it, later ones after it. */
static void order_within_a_group(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    shell_do(s, "GROUP CREATE g t"); /* -NOTOPIC, unless the topic exists */
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t");
    shell_add(s, "SEND t 1 QUEUE 0");
    shell_add(s, "SEND t 2 QUEUE 1");
    add(s, "t", abc, "QUEUE", "0");
    shell_add(s, "SEND t 3 QUEUE 1");
    shell_add(s, "SEND t 4 QUEUE 0");
    uint32_t pop = shell_add(s, "POP g t COUNT 2"); /* sees the messages of the open group */
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[t:0:0#1=1 t:1:0#1=2]");
    shell_expect(s, "[t:0:1#1=a t:0:2#1=b t:0:3#1=c t:1:1#1=3 t:0:4#1=4]", "POP g t COUNT 9");
    shell_expect(s, "[t:0:0=1 t:0:1=a t:0:2=b t:0:3=c t:0:4=4]", "READ t 0 0 COUNT 9");
    batch_free(&b);
}

static void attributes_leave_rows(void **state)
{
    struct shell *s = *state;
    struct batch b;
    batch_init(&b);
    batch_add_body(&b, "plain");
    batch_add(&b, (struct message){.fields = MSG_KEY | MSG_TTL,
                                   .born_ms = -7,
                                   .expires_ms = 1000,
                                   .n_keys = 1,
                                   .keys = {SLICE_LIT("k")},
                                   .body = SLICE_LIT("rich")});
    produce(s, "t", batch_end(&b), "QUEUE", "2");
    s->full = true;
    const char *text = shell_do(s, "FIND t KEY k");
    assert_non_null(strstr(text, "t:2:1"));
    assert_int_equal(shell_field(text, "born"), SHELL_TIME - 7);
    assert_int_equal(shell_field(text, "expires"), SHELL_TIME + 1000);
    s->full = false;
    shell_pass(s, 1000);
    shell_expect(s, "[t:2:0#1=plain]", "POP g t COUNT 9");
    batch_free(&b);
}

/* With a TTL of 0 messages expire at once, even for a POP in the same commit group. */
static void over_before_it_is_written(void **state)
{
    struct shell *s = *state;
    struct batch b;
    batch_init(&b);
    batch_add(&b, (struct message){.fields = MSG_TTL, .body = SLICE_LIT("gone")});
    batch_add_body(&b, "here");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    add(s, "t", batch_end(&b), NULL, NULL);
    shell_add(s, "SEND t gone TTL 0");
    shell_add(s, "SEND t there");
    uint32_t pop = shell_add(s, "POP g t COUNT 9");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[t:0:1#1=here t:0:3#1=there]");
    batch_free(&b);
}

static void order_keys_belong_to_their_queue(void **state)
{
    struct shell *s = *state;
    struct batch b;
    char own[16], other[16];
    uint64_t queue = text_hash(SLICE_LIT("o")) % QUEUES_DEFAULT;
    (void)snprintf(own, sizeof(own), "%llu", (unsigned long long)queue);
    (void)snprintf(other, sizeof(other), "%llu", (unsigned long long)((queue + 1) % QUEUES_DEFAULT));
    batch_init(&b);
    batch_add_body(&b, "plain");
    batch_add(&b, (struct message){.fields = MSG_ORDER, .order = SLICE_LIT("o"), .body = SLICE_LIT("x")});
    struct slice batch = batch_end(&b);
    char want[120];
    (void)snprintf(want, sizeof(want), "-ERR message 1 of the batch belongs to queue %s by its ORDER", own);
    s->full = true;
    assert_memory_equal(produce(s, "t", batch, NULL, NULL), want, strlen(want));
    assert_memory_equal(produce(s, "t", batch, "QUEUE", other), want, strlen(want));
    s->full = false;
    shell_expect(s, "[]", "TOPIC LIST");
    char stored[64];
    (void)snprintf(stored, sizeof(stored), "{queue:%s offset:0 count:2}", own);
    assert_string_equal(produce(s, "t", batch, "QUEUE", own), stored);
    char id[32];
    (void)snprintf(id, sizeof(id), "t:%s:2", own);
    shell_expect(s, id, "SEND t y ORDER o"); /* the same queue */
    batch_free(&b);
}

static void dedup_answers_again(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    assert_string_equal(produce(s, "t", abc, "DEDUP", "x"), "{queue:0 offset:0 count:3}");
    uint32_t one = add(s, "t", abc, "DEDUP", "x"), two = add(s, "t", abc, "DEDUP", "y"),
             again = add(s, "t", abc, "DEDUP", "y");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, one), "{queue:0 offset:0 count:3}");
    assert_string_equal(shell_reply(s, two), "{queue:1 offset:0 count:3}");
    assert_string_equal(shell_reply(s, again), "{queue:1 offset:0 count:3}");
    shell_reopen(s);
    assert_string_equal(produce(s, "t", abc, "DEDUP", "x"), "{queue:0 offset:0 count:3}");
    shell_expect(s, "t:2:0", "SEND t one DEDUP z");
    assert_string_equal(produce(s, "t", abc, "DEDUP", "z"), "{queue:3 offset:0 count:3}");
    shell_expect(s, "t:2:0", "SEND t one DEDUP z"); /* each command has ids of its own */
    assert_string_equal(produce(s, "t", abc, "DEDUP", "z"), "{queue:3 offset:0 count:3}");
    char txid[32];
    (void)snprintf(txid, sizeof(txid), "%s", shell_do(s, "HALF pg t a DEDUP h"));
    assert_string_equal(produce(s, "t", abc, "DEDUP", "h"), "{queue:0 offset:3 count:3}");
    shell_expect(s, txid, "HALF pg t a DEDUP h");
    shell_expect(s, "[t:0:0=a t:0:1=b t:0:2=c]", "READ t 0 0 COUNT 3");
    batch_free(&b);
}

static void refused_leaves_nothing(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    uint32_t before = shell_rows(s, '*');
    assert_memory_equal(produce(s, "t", abc, "QUEUE", "4"), "-ERR", 4);
    s->policy.auto_create_topics = false;
    assert_memory_equal(produce(s, "t", abc, NULL, NULL), "-NOTOPIC", 8);
    shell_expect(s, "[]", "TOPIC LIST");
    assert_int_equal(shell_rows(s, '*'), before);
    batch_free(&b);
}

/* Without applying anything, a known id is answered, and nothing else is. */
static void dedup_asked_alone(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    assert_string_equal(produce(s, "t", abc, "DEDUP", "x"), "{queue:0 offset:0 count:3}");
    static const char *const asked[][2] = {{"t", "x"}, {"t", "y"}, {"u", "x"}, {"t", NULL}};
    uint64_t before = shell_digest(s);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        s->asks_only = true;
        uint32_t at = add(s, asked[i][0], abc, asked[i][1] ? "DEDUP" : NULL, asked[i][1]);
        s->asks_only = false;
        assert_true(shell_write(s));
        assert_int_equal(s->repeated, i == 0);
        if (i == 0)
            assert_string_equal(shell_reply(s, at), "{queue:0 offset:0 count:3}");
    }
    assert_true(!kv_pending(s->st->kv) && shell_digest(s) == before);
    batch_free(&b);
}

static void news_counts_messages(void **state)
{
    struct shell *s = *state;
    struct batch b;
    struct slice abc = letters(&b, 'a', 3);
    produce(s, "t", abc, NULL, NULL);
    assert_int_equal(s->fx.n_keys, 1);
    assert_int_equal(s->fx.keys[0], news_key(NEWS_TOPIC, SLICE_LIT("t"), slice_of(NULL, 0)));
    assert_int_equal(s->fx.counts[0], 3);
    batch_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(stored_as_one_piece),   SHELL_TEST(bytes_are_kept),
        SHELL_TEST(order_within_a_group),  SHELL_TEST(attributes_leave_rows),
        SHELL_TEST(over_before_it_is_written), SHELL_TEST(order_keys_belong_to_their_queue),
        SHELL_TEST(dedup_answers_again),   SHELL_TEST(refused_leaves_nothing),
        SHELL_TEST(news_counts_messages),  SHELL_TEST(dedup_asked_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
