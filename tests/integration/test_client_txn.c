/*
 * test_client_txn.c: tests the transactional producer of libhalfmq: half messages, decisions, check-backs that its
 * callback answers, and all of that while the broker is killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define TOLD_MAX 4096

static struct spawned *broker;
static hmq_client *client;

/* The application's own state, from which it answers checks. */
struct books {
    pthread_mutex_t lock;
    hmq_txid committed[TOLD_MAX];
    size_t n_committed;
    hmq_txid denied[TOLD_MAX]; /* asked about before they were noted, so the answer was rollback */
    size_t n_denied;
    unsigned asked, on_io_thread;
    pthread_t io_thread;
    bool knows_io_thread, undecided_first;
};

static struct books books = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int start(void **state)
{
    (void)state;
    static const char *const flags[] = {"--checkin", "50ms", "--check_every", "50ms", "--check_max",
                                        "1000",      NULL};
    broker = rig_spawn(flags);
    client = rig_connect(broker, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hmq_client_free(client);
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

/* Notes a transaction. The caller holds the books' lock. */
static void note(hmq_txid txid)
{
    assert_true(books.n_committed < TOLD_MAX);
    books.committed[books.n_committed++] = txid;
}

static void note_committed(hmq_txid txid)
{
    pthread_mutex_lock(&books.lock);
    note(txid);
    pthread_mutex_unlock(&books.lock);
}

static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    enum hmq_decision decision = HMQ_ROLLBACK;
    (void)arg;
    pthread_mutex_lock(&books.lock);
    books.asked++;
    books.on_io_thread += books.knows_io_thread && pthread_equal(books.io_thread, pthread_self());
    for (size_t i = 0; i < books.n_committed; i++)
        if (books.committed[i] == hmq_check_txid(check))
            decision = HMQ_COMMIT;
    if (books.undecided_first && hmq_check_attempt(check) == 1)
        decision = HMQ_UNDECIDED;
    if (decision == HMQ_ROLLBACK && books.n_denied < TOLD_MAX)
        books.denied[books.n_denied++] = hmq_check_txid(check);
    pthread_mutex_unlock(&books.lock);
    return decision;
}

static hmq_txn_producer *txn_producer(hmq_check_fn check)
{
    hmq_txn_producer *producer = NULL;
    hmq_error err;
    RIG_CHECK(hmq_txn_producer_new(client, "pg", check, NULL, NULL, &producer, &err), &err);
    return producer;
}

static void close_producer(hmq_txn_producer *producer)
{
    hmq_error err;
    RIG_CHECK(hmq_txn_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

static hmq_txid half(hmq_txn_producer *producer, const char *topic, const char *body,
                     int64_t checkin_ms)
{
    hmq_txid txid = 0;
    hmq_error err;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.checkin_ms = checkin_ms;
    o.key = "key";
    RIG_CHECK(hmq_txn_half(producer, topic, body, strlen(body), &o, RIG_DEADLINE_MS, &txid, &err),
              &err);
    assert_true(txid >= UINT64_C(1) << 32 && txid < UINT64_C(1) << 63);
    return txid;
}

static char *state_of(hmq_txid txid)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, txid);
    hmq_reply *reply = rig_ask(client, "txn_info", (const char *[]){"txid", text, NULL});
    char *state = strdup(hmq_reply_text(hmq_reply_get(reply, "state")));
    hmq_reply_free(reply);
    return state;
}

static bool is_committed(void *arg)
{
    char *state = state_of(*(hmq_txid *)arg);
    bool yes = strcmp(state, "committed") == 0;
    free(state);
    return yes;
}

static bool is_rolled_back(void *arg)
{
    char *state = state_of(*(hmq_txid *)arg);
    bool yes = strcmp(state, "rolledback") == 0;
    free(state);
    return yes;
}

static void test_decisions_stand(void **state)
{
    (void)state;
    hmq_txn_producer *producer = txn_producer(NULL);
    hmq_reply *ids = NULL;
    hmq_error err;
    hmq_txid one = half(producer, "a", "one", 3600000), two = half(producer, "a", "two", 3600000);
    RIG_CHECK(hmq_txn_add(producer, one, "b", "more", 4, NULL, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_txn_commit(producer, one, HMQ_DEFAULT, &ids, &err), &err);
    assert_int_equal(hmq_reply_len(ids), 2);
    assert_memory_equal(hmq_reply_text(hmq_reply_at(ids, 0)), "a:", 2);
    assert_memory_equal(hmq_reply_text(hmq_reply_at(ids, 1)), "b:", 2);
    hmq_reply_free(ids);
    RIG_CHECK(hmq_txn_commit(producer, one, HMQ_DEFAULT, NULL, &err), &err);
    assert_int_equal(hmq_txn_rollback(producer, one, HMQ_DEFAULT, &err), HMQ_ETXNCONFLICT);
    RIG_CHECK(hmq_txn_rollback(producer, two, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_txn_rollback(producer, two, HMQ_DEFAULT, &err), &err);
    assert_int_equal(hmq_txn_commit(producer, two, HMQ_DEFAULT, NULL, &err), HMQ_ETXNCONFLICT);
    assert_int_equal(hmq_txn_add(producer, two, "b", "x", 1, NULL, HMQ_DEFAULT, &err),
                     HMQ_ETXNCONFLICT);
    assert_int_equal(hmq_txn_commit(producer, 4294967299, HMQ_DEFAULT, NULL, &err), HMQ_ENOTXN);
    assert_int_equal(hmq_txn_commit(producer, 0, HMQ_DEFAULT, NULL, &err), HMQ_EINVAL);
    close_producer(producer);
}

static void test_same_dedup_same_transaction(void **state)
{
    (void)state;
    hmq_txn_producer *producer = txn_producer(NULL);
    hmq_txid first = 0, second = 0;
    hmq_error err;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.dedup = "order-5";
    o.checkin_ms = 3600000;
    RIG_CHECK(hmq_txn_half(producer, "a", "x", 1, &o, HMQ_DEFAULT, &first, &err), &err);
    RIG_CHECK(hmq_txn_half(producer, "a", "x", 1, &o, HMQ_DEFAULT, &second, &err), &err);
    assert_true(first == second);
    RIG_CHECK(hmq_txn_rollback(producer, first, HMQ_DEFAULT, &err), &err);
    close_producer(producer);
}

static void test_commit_with_ack(void **state)
{
    (void)state;
    hmq_txn_producer *producer = txn_producer(NULL);
    hmq_batch *batch = NULL;
    hmq_error err;
    const char *topic = "in";
    rig_put(client, topic, "work");
    RIG_CHECK(hmq_pop(client, "g", &topic, 1, 1, 0, HMQ_DEFAULT, &batch, &err), &err);
    const char *receipt = hmq_message_receipt(hmq_batch_at(batch, 0));
    hmq_txid txid = half(producer, "out", "result", 3600000);
    const char *lost = "in:0:99#1";
    assert_int_equal(hmq_txn_commit_ack(producer, txid, "g", &lost, 1, HMQ_DEFAULT, NULL, &err),
                     HMQ_ESTALE);
    RIG_CHECK(hmq_txn_commit_ack(producer, txid, "g", &receipt, 1, HMQ_DEFAULT, NULL, &err), &err);
    size_t count = 9;
    RIG_CHECK(hmq_ack(client, "g", &receipt, 1, HMQ_DEFAULT, &count, &err), &err);
    assert_int_equal(count, 0); /* the commit has acknowledged it */
    hmq_batch_free(batch);
    close_producer(producer);
}

static enum hmq_decision local(void *arg, hmq_txid txid)
{
    enum hmq_decision decision = *(enum hmq_decision *)arg;
    if (decision == HMQ_COMMIT)
        note_committed(txid);
    return decision;
}

static void test_run(void **state)
{
    (void)state;
    hmq_txn_producer *producer = txn_producer(NULL);
    hmq_error err;
    hmq_txid txid = 0;
    enum hmq_decision decision = HMQ_COMMIT;
    RIG_CHECK(hmq_txn_run(producer, "a", "x", 1, NULL, local, &decision, HMQ_DEFAULT, &txid, &err),
              &err);
    assert_true(is_committed(&txid));
    decision = HMQ_ROLLBACK;
    RIG_CHECK(hmq_txn_run(producer, "a", "x", 1, NULL, local, &decision, HMQ_DEFAULT, &txid, &err),
              &err);
    assert_true(is_rolled_back(&txid));
    close_producer(producer);
}

static void on_io_thread(void *arg, hmq_reply *reply, const hmq_error *err)
{
    (void)arg;
    (void)err;
    hmq_reply_free(reply);
    pthread_mutex_lock(&books.lock);
    books.io_thread = pthread_self();
    books.knows_io_thread = true;
    pthread_mutex_unlock(&books.lock);
}

static void learn_io_thread(void)
{
    hmq_request *ping = hmq_request_new("ping");
    hmq_error err;
    RIG_CHECK(hmq_call_async(client, ping, HMQ_DEFAULT, on_io_thread, NULL, &err), &err);
    RIG_CHECK(hmq_client_flush(client, RIG_DEADLINE_MS, &err), &err);
    hmq_request_free(ping);
}

static void test_checks_are_answered(void **state)
{
    (void)state;
    learn_io_thread();
    books.undecided_first = true;
    hmq_txn_producer *producer = txn_producer(on_check);
    pthread_mutex_lock(&books.lock); /* keeps checks from being answered before the note is made */
    hmq_txid kept = half(producer, "a", "kept", 1), dropped = half(producer, "a", "dropped", 0);
    note(kept);
    pthread_mutex_unlock(&books.lock);
    rig_eventually(is_committed, &kept, "the check-back commits");
    rig_eventually(is_rolled_back, &dropped, "the check-back rolls back");
    close_producer(producer);
    pthread_mutex_lock(&books.lock);
    books.undecided_first = false;
    assert_true(books.asked >= 3);
    assert_int_equal(books.on_io_thread, 0);
    pthread_mutex_unlock(&books.lock);
}

struct seen {
    pthread_mutex_t lock;
    bool done, right;
};

static enum hmq_decision look_closely(void *arg, const hmq_check *check)
{
    struct seen *seen = arg;
    hmq_prop_bytes prop;
    size_t len;
    pthread_mutex_lock(&seen->lock);
    seen->right = strcmp(hmq_check_pgroup(check), "pg") == 0 && hmq_check_attempt(check) >= 1 &&
                  hmq_check_created_ms(check) > 1500000000000 && hmq_check_count(check) == 2 &&
                  strcmp(hmq_check_topic(check, 1), "b") == 0 &&
                  memcmp(hmq_check_body(check, 0, &len), "a\0b", 3) == 0 && len == 3 &&
                  strcmp(hmq_check_key(check, 0, 0), "k1") == 0 &&
                  strcmp(hmq_check_key(check, 0, 1), "k2") == 0 && !hmq_check_key(check, 0, 2) &&
                  strcmp(hmq_check_tag(check, 0), "red") == 0 && !hmq_check_tag(check, 1) &&
                  hmq_check_key_count(check, 0) == 2 && hmq_check_key_count(check, 1) == 0 &&
                  strcmp(hmq_check_prop(check, 0, "trace"), "abc") == 0 && hmq_check_prop_count(check, 0) == 1 &&
                  hmq_check_prop_count(check, 2) == 0 && hmq_check_prop_at(check, 0, 0, &prop) &&
                  prop.name_len == 5 && memcmp(prop.name, "trace", 5) == 0 && prop.value_len == 3 &&
                  memcmp(prop.value, "abc", 3) == 0 && !hmq_check_prop_at(check, 0, 1, &prop) &&
                  !hmq_check_topic(check, 2);
    seen->done = true;
    pthread_mutex_unlock(&seen->lock);
    return HMQ_COMMIT;
}

static void test_what_a_check_tells(void **state)
{
    (void)state;
    struct seen seen = {PTHREAD_MUTEX_INITIALIZER, false, false};
    hmq_txn_producer *teller = txn_producer(NULL), *asked = NULL;
    hmq_error err;
    hmq_txid txid;
    const char *more = "k2";
    hmq_prop prop = {"trace", "abc"};
    hmq_send_options o = HMQ_SEND_OPTIONS;
    o.key = "k1";
    o.keys = &more;
    o.n_keys = 1;
    o.tag = "red";
    o.props = &prop;
    o.n_props = 1;
    o.checkin_ms = 1;
    RIG_CHECK(hmq_txn_half(teller, "a", "a\0b", 3, &o, HMQ_DEFAULT, &txid, &err), &err);
    RIG_CHECK(hmq_txn_add(teller, txid, "b", "more", 4, NULL, HMQ_DEFAULT, &err), &err);
    RIG_CHECK(hmq_txn_producer_new(client, "pg", look_closely, &seen, NULL, &asked, &err), &err);
    rig_eventually(is_committed, &txid, "the check-back commits");
    pthread_mutex_lock(&seen.lock);
    assert_true(seen.done && seen.right);
    pthread_mutex_unlock(&seen.lock);
    close_producer(asked);
    close_producer(teller);
}

/* The service is registered again after each reconnect. */
static void test_checks_after_a_kill(void **state)
{
    (void)state;
    hmq_txn_producer *producer = txn_producer(on_check);
    for (int round = 0; round < 3; round++) {
        /* A check before the note would be answered with rollback, so it has to wait for the lock. */
        pthread_mutex_lock(&books.lock);
        hmq_txid txid = half(producer, "a", "kept", 1);
        note(txid);
        pthread_mutex_unlock(&books.lock);
        spawn_kill(broker);
        spawn_again(broker);
        rig_eventually(is_committed, &txid, "the check-back commits after the restart");
    }
    close_producer(producer);
}

struct flow {
    hmq_txn_producer *producer;
    _Atomic unsigned begun, failed, decided, refused;
};

static void on_decided(void *arg, hmq_reply *ids, const hmq_error *err)
{
    struct flow *f = arg;
    hmq_reply_free(ids);
    if (err->code == HMQ_OK)
        atomic_fetch_add(&f->decided, 1);
    else
        atomic_fetch_add(&f->refused, 1);
}

/* Every second transaction is committed, every third is left to the check-back. */
static void on_half(void *arg, hmq_txid txid, const hmq_error *err)
{
    struct flow *f = arg;
    unsigned n = atomic_fetch_add(&f->begun, 1);
    if (err->code != HMQ_OK) {
        atomic_fetch_add(&f->failed, 1);
        return;
    }
    if (n % 2 == 0)
        note_committed(txid);
    if (n % 3 == 0)
        return;
    if (hmq_txn_decide_async(f->producer, txid, n % 2 == 0 ? HMQ_COMMIT : HMQ_ROLLBACK,
                             RIG_DEADLINE_MS, on_decided, f, NULL) != HMQ_OK)
        atomic_fetch_add(&f->failed, 1);
}

static bool all_settled(void *arg)
{
    hmq_reply *info = rig_ask(client, "info", (const char *[]){"section", "transactions", NULL});
    bool settled = strstr(hmq_reply_text(info), "\npending:0\r") != NULL;
    (void)arg;
    hmq_reply_free(info);
    return settled;
}

static bool was_denied(hmq_txid txid)
{
    for (size_t i = 0; i < books.n_denied; i++)
        if (books.denied[i] == txid)
            return true;
    return false;
}

/* How many of the transactions that were noted from `first` on are committed. The others were asked about, with success, before the
 * reply to their half message came, as where the broker dies before it has sent that. */
static size_t count_committed(size_t first)
{
    size_t n = 0;
    pthread_mutex_lock(&books.lock);
    assert_true(books.n_denied < TOLD_MAX);
    for (size_t i = first; i < books.n_committed; i++) {
        bool committed = is_committed(&books.committed[i]);
        assert_true(committed || was_denied(books.committed[i]));
        n += committed;
    }
    pthread_mutex_unlock(&books.lock);
    return n;
}

static void test_transactions_while_the_broker_dies(void **state)
{
    (void)state;
    enum { ROUNDS = 4, EACH = 300 };
    struct flow f = {.producer = txn_producer(on_check)};
    size_t before = books.n_committed;
    books.n_denied = 0;
    hmq_error err;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            char body[16];
            int n = snprintf(body, sizeof body, "%d", round * EACH + i);
            RIG_CHECK(hmq_txn_half_async(f.producer, "flow", body, (size_t)n, NULL, RIG_DEADLINE_MS,
                                         on_half, &f, &err),
                      &err);
        }
        spawn_kill(broker);
        spawn_again(broker);
    }
    RIG_CHECK(hmq_txn_producer_flush(f.producer, RIG_DEADLINE_MS, &err), &err);
    rig_eventually(all_settled, NULL, "nothing is pending");
    assert_int_equal(atomic_load(&f.begun), ROUNDS * EACH);
    assert_int_equal(atomic_load(&f.failed), 0);
    close_producer(f.producer);
    unsigned *counts = rig_count_bodies(client, "flow", 4, (size_t)ROUNDS * EACH);
    size_t published = 0;
    for (size_t i = 0; i < (size_t)ROUNDS * EACH; i++) {
        assert_true(counts[i] <= 1);
        published += counts[i];
    }
    assert_int_equal(published, count_committed(before));
    free(counts);
}

static int64_t members(void)
{
    hmq_reply *reply = rig_ask(client, "pgroup_info", (const char *[]){"pgroup", "pg", NULL});
    int64_t n = hmq_reply_int(hmq_reply_get(reply, "members"), -1);
    hmq_reply_free(reply);
    return n;
}

static bool is_a_member(void *arg)
{
    return members() == *(int64_t *)arg;
}

/* A producer that is closed is asked no more, though its client stays connected. */
static void test_a_closed_producer_is_no_member(void **state)
{
    (void)state;
    int64_t one = 1;
    hmq_txn_producer *producer = txn_producer(on_check);
    rig_eventually(is_a_member, &one, "the producer is a member");
    close_producer(producer);
    assert_int_equal(members(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions_stand),
        cmocka_unit_test(test_same_dedup_same_transaction),
        cmocka_unit_test(test_commit_with_ack),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_checks_are_answered),
        cmocka_unit_test(test_what_a_check_tells),
        cmocka_unit_test(test_a_closed_producer_is_no_member),
        cmocka_unit_test(test_checks_after_a_kill),
        cmocka_unit_test(test_transactions_while_the_broker_dies),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
