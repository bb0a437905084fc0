/*
 * test_client_runs.c: tests which receipts a consumer's acknowledgements name: whatever the order in which messages are
 * ended, neighbours are one range, no message is named twice, and what does not fit into a request is in the next one; and
 * how many requests are under way at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/consumer/consumer_inner.h"
#include "protocol/limits.h"
#include "tests/lib/bare.h"

#define STREAM 7
#define MOST 8000
#define PREFETCH "4096"
#define RECEIPTS_MAX 1000 /* in one request */
#define MANY 512 /* messages, an eighth of these, for which there is another request beside those under way, */
#define OPEN_MAX 8 /* which are so many at most */
#define ROUNDS 30

static struct bare bare;
static hmq_consumer *consumer;
static const hmq_message *kept[MOST];
static bool named[MOST], ended[MOST];
static _Atomic unsigned n_kept;
static uint64_t chance = 1;
static uint64_t requests[OPEN_MAX]; /* ids of those that fill_requests has made */

static enum hmq_verdict keep(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)retry;
    kept[hmq_message_offset(m)] = m;
    assert_int_equal(hmq_message_keep(m, NULL), HMQ_OK);
    atomic_fetch_add(&n_kept, 1);
    return HMQ_ACK;
}

static unsigned draw(unsigned below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)((chance >> 33) % below);
}

static void wait_until_kept(unsigned n)
{
    bool all = false;
    while (!all) {
        pthread_mutex_lock(&consumer->lock);
        all = atomic_load(&n_kept) == n && consumer->n_running == 0;
        pthread_mutex_unlock(&consumer->lock);
        sched_yield();
    }
}

/* So many messages come, in records of `each`, and are kept. */
static void come(unsigned from, unsigned n, unsigned each)
{
    for (unsigned i = 0; i < n; i += each)
        bare_say_records(&bare, STREAM, 1, from + i, n - i < each ? n - i : each);
    bare_tick(&bare);
    wait_until_kept(from + n);
}

/* A consumer that keeps n messages, which came in records of `each`. */
static void start(unsigned n, unsigned each)
{
    const char *topic = "t";
    memset(named, 0, sizeof named);
    memset(ended, 0, sizeof ended);
    n_kept = 0;
    bare_start(&bare, "?prefetch=" PREFETCH);
    assert_int_equal(hmq_consumer_new(&bare.client, "g", &topic, 1, keep, NULL, NULL, &consumer, NULL), HMQ_OK);
    bare_tick(&bare);
    bare_expect(&bare, "stream_group");
    bare_answer_int(&bare, NULL, STREAM);
    come(0, n, each);
    while (bare_hear(&bare))
        assert_true(bare_is(&bare, "stream_credit"));
}

static void stop(void)
{
    assert_int_equal(hmq_consumer_close(consumer, 0, NULL), HMQ_ETIMEDOUT); /* the broker does not reply */
    bare_stop(&bare);
    for (unsigned i = 0; i < MOST; i++)
        if (atomic_load(&n_kept) > i && !ended[i])
            assert_int_equal(hmq_message_end(kept[i], HMQ_ACK, NULL, NULL, NULL, NULL), HMQ_ECLOSED);
}

static void end(unsigned i)
{
    ended[i] = true;
    assert_int_equal(hmq_message_end(kept[i], HMQ_ACK, NULL, NULL, NULL, NULL), HMQ_OK);
}

/* Notes the messages that a receipt names: returns how many. */
static unsigned note_receipt(struct slice receipt)
{
    char text[80], *at = NULL;
    assert_true(receipt.len < sizeof text);
    memcpy(text, receipt.data, receipt.len);
    text[receipt.len] = '\0';
    assert_memory_equal(text, "t:0:", 4);
    unsigned long from = strtoul(text + 4, &at, 10), to = from;
    if (*at == '-')
        to = strtoul(at + 1, &at, 10);
    assert_string_equal(at, "#1");
    assert_true(from <= to && to < MOST && to - from < COUNT_MAX);
    for (unsigned long i = from; i <= to; i++) {
        assert_true(ended[i] && !named[i]);
        named[i] = true;
    }
    return (unsigned)(to - from + 1);
}

/* Hears the next ACK; returns how many messages it names, 0: there is none, and sets how many receipts it has. */
static int64_t hear_ack_only(size_t *ret_receipts)
{
    struct slice receipt;
    int64_t n = 0;
    *ret_receipts = 0;
    while (n == 0 && bare_hear(&bare)) {
        if (!bare_is(&bare, "ack"))
            continue;
        const struct rpc_value *list = rpc_get(bare.frame.params, "receipt");
        *ret_receipts = rpc_len(list);
        for (size_t i = 0; i < *ret_receipts; i++) {
            assert_true(rpc_bytes(rpc_at(list, i), &receipt));
            n += note_receipt(receipt);
        }
    }
    return n;
}

/* Hears the next ACK and answers it; returns how many receipts it has. False in *ret_there: there is none. */
static size_t hear_ack(bool *ret_there)
{
    size_t receipts;
    int64_t n = hear_ack_only(&receipts);
    *ret_there = n > 0;
    if (n > 0)
        bare_answer_int(&bare, NULL, n);
    return receipts;
}

static void hear_all_acks(void)
{
    bool there = true;
    while (there)
        (void)hear_ack(&there);
    assert_int_equal(consumer->n_acks, 0);
    assert_true(TAILQ_EMPTY(&consumer->acks));
    assert_memory_equal(named, ended, sizeof named);
}

/* How many ranges at least name all that were ended since the first one, in records of `each`. */
static size_t ranges(unsigned n, unsigned each)
{
    size_t found = 0;
    for (unsigned i = 0; i < n; i++)
        found += ended[i] && !named[i] && (i % each == 0 || !ended[i - 1] || named[i - 1]);
    return found;
}

/* In any order, while one request is under way: then one names all that were ended meanwhile, in the fewest ranges. */
static void test_neighbours_are_one_range(void **state)
{
    bool there;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned n = 20 + draw(300), each = 1 + draw(100), order[320];
        start(n, each);
        for (unsigned i = 0; i < n; i++) {
            unsigned at = draw(i + 1);
            order[i] = order[at];
            order[at] = i;
        }
        end(order[0]);
        assert_int_equal(consumer->n_held, n - 1); /* the request is handed over, though not answered yet */
        unsigned some = 1 + draw(n - 1);
        for (unsigned i = 1; i <= some; i++)
            end(order[i]);
        assert_int_equal(hear_ack(&there), 1);
        assert_true(there);
        size_t least = ranges(n, each);
        assert_int_equal(hear_ack(&there), least);
        assert_true(there);
        assert_int_equal(consumer->n_held, n - some - 1);
        for (unsigned i = some + 1; i < n; i++)
            end(order[i]);
        hear_all_acks();
        assert_int_equal(consumer->n_held, 0);
        assert_int_equal(consumer->stats.acked, n);
        assert_int_equal(consumer->stats.acks_lost, 0);
        assert_true(TAILQ_EMPTY(&consumer->deliveries));
        stop();
    }
}

/* The first messages come and are ended, until as many requests are under way as may be; hears all of these. Returns how
 * many messages there were. */
static unsigned fill_requests(void)
{
    const unsigned n = 1 + (OPEN_MAX - 1) * MANY;
    size_t receipts;
    start(n, n);
    for (unsigned i = 0; i < n; i++) {
        bool due = i % MANY == 0; /* few messages wait for a reply */
        end(i);
        assert_int_equal(hear_ack_only(&receipts), due ? i == 0 ? 1 : MANY : 0);
        if (due)
            requests[i / MANY] = bare.frame.id;
    }
    assert_int_equal(consumer->n_held, 0);
    return n;
}

static void answer_requests(int n)
{
    for (int i = 0; i < n; i++) {
        bare.frame.id = requests[i];
        bare_answer_int(&bare, NULL, i == 0 ? 1 : MANY);
    }
}

/* Many messages do not wait for the reply to an earlier acknowledgement: so they make room for others. */
static void test_many_do_not_wait_for_a_reply(void **state)
{
    size_t receipts;
    const unsigned n = fill_requests(), more = 2 * MANY - 100;
    (void)state;
    come(n, more, more);
    for (unsigned i = 0; i < more; i++)
        end(n + i);
    assert_int_equal(hear_ack_only(&receipts), 0); /* no more requests than these */
    assert_int_equal(consumer->n_held, more);
    answer_requests(1);
    assert_int_equal(hear_ack_only(&receipts), more);
    assert_int_equal(receipts, 1);
    assert_int_equal(consumer->n_held, 0);
    stop();
}

/* A request has so many receipts at most, each of so many messages: the end of a run may be left for the next one. */
static void test_long_runs_and_many(void **state)
{
    bool there;
    const unsigned alone = RECEIPTS_MAX - 1, run = 2 * COUNT_MAX - 100, n = 2 * alone + run + 1, first = fill_requests();
    (void)state;
    come(first, n, n);
    for (unsigned i = 0; i < alone; i++)
        end(first + 2 * i);
    for (unsigned i = run; i-- > 0;)
        end(first + 2 * alone + i);
    answer_requests(OPEN_MAX);
    assert_int_equal(hear_ack(&there), RECEIPTS_MAX);
    assert_true(named[first + 2 * alone + COUNT_MAX - 1] && !named[first + 2 * alone + COUNT_MAX]);
    end(first + 2 * alone + run); /* joins what is left of the run: that is under way already */
    assert_int_equal(hear_ack(&there), 1);
    hear_all_acks();
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_are_one_range),
        cmocka_unit_test(test_many_do_not_wait_for_a_reply),
        cmocka_unit_test(test_long_runs_and_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
