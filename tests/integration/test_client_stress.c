/*
 * test_client_stress.c: libhalfmq for a while in a bad world: the broker is killed, connections are cut, half-closed,
 * refused, or lead to a broker whose disk is full, while threads and callbacks send, consume, decide, and close what
 * others use. HALFMQ_STRESS_ROUNDS says how many blows there are; `make client-stress` deals thirty, with sanitizers.
 *
 * The oracle, for each message:
 *
 *   what the application was told     how often it may be stored
 *   OK                                once
 *   HMQ_EUNKNOWN                      once, or not at all
 *   anything else                     not at all
 *
 * Each callback runs once, and before close returns. A transaction that was to be rolled back is seen by nobody; one
 * whose commit was told OK is seen once. Every message that is stored reaches a handler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/prng.h"
#include "tests/lib/rig.h"
#include "tests/lib/unruly.h"

#define SENDERS 3
#define PER_SENDER 20000
#define MESSAGES (SENDERS * PER_SENDER)
#define TXNS 4000
#define TIMEOUT_MS 2000
#define ROUNDS_SHORT 6
#define QUEUES 4
#define QUERY "?reconnect_min_ms=1&reconnect_max_ms=20&lease_ms=2000&max_inflight=200"

enum told { NOTHING, PENDING, STORED, UNKNOWN, NOT_DONE };

static struct spawned *broker;
static struct unruly *net;
static _Atomic bool over;
static _Atomic unsigned progress; /* outcomes of any kind */

static _Atomic int told[MESSAGES];
static _Atomic unsigned handled[MESSAGES];
static _Atomic unsigned twice; /* callbacks that ran again, or were left out when close returned */

static hmq_client *connect_through_net(void)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(unruly_port(net), QUERY);
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

static enum told told_by(enum hmq_status status)
{
    atomic_fetch_add(&progress, 1);
    return status == HMQ_OK ? STORED : status == HMQ_EUNKNOWN ? UNKNOWN : NOT_DONE;
}

/* ---- senders ---- */

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    _Atomic int *slot = arg;
    (void)id;
    if (atomic_exchange(slot, (int)told_by(err->code)) != PENDING)
        atomic_fetch_add(&twice, 1);
}

struct sender_of {
    unsigned n, next, first; /* which sender, its next message, the first of this producer */
    struct prng prng;
    hmq_client *client;
    hmq_producer *producer;
    pthread_t thread;
};

static void send_one(struct sender_of *s)
{
    char body[16];
    hmq_error err;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    unsigned which = s->n * PER_SENDER + s->next++;
    snprintf(body, sizeof body, "%u", which);
    if (prng_below(&s->prng, 4) == 0)
        o.order = "one key";
    atomic_store(&told[which], PENDING);
    if (prng_below(&s->prng, 8) == 0) {
        enum hmq_status status = hmq_send(s->producer, "t", body, strlen(body), &o, TIMEOUT_MS, NULL, &err);
        atomic_store(&told[which], (int)told_by(status));
    } else if (hmq_send_async(s->producer, "t", body, strlen(body), &o, TIMEOUT_MS, on_sent, &told[which], &err) != HMQ_OK) {
        atomic_store(&told[which], (int)told_by(err.code));
    }
}

/* The messages of the last producer have all been told when it is closed. */
static void renew(struct sender_of *s)
{
    hmq_error err;
    bool early = prng_below(&s->prng, 2);
    if (early)
        hmq_client_free(s->client); /* before its producer */
    (void)hmq_producer_close(s->producer, (int64_t)prng_below(&s->prng, 3) * 20, &err);
    for (unsigned i = s->first; i < s->next; i++)
        if (atomic_load(&told[s->n * PER_SENDER + i]) == PENDING)
            atomic_fetch_add(&twice, 1);
    bool same = !early && prng_below(&s->prng, 2);
    if (!early && !same)
        hmq_client_free(s->client);
    if (!same)
        s->client = connect_through_net();
    s->first = s->next;
    RIG_CHECK(hmq_producer_new(s->client, NULL, &s->producer, &err), &err);
}

static void *send_all(void *arg)
{
    struct sender_of *s = arg;
    hmq_error err;
    s->client = connect_through_net();
    RIG_CHECK(hmq_producer_new(s->client, NULL, &s->producer, &err), &err);
    while (!atomic_load(&over) && s->next < PER_SENDER) {
        send_one(s);
        if (prng_below(&s->prng, 64) == 0)
            spawn_pause();
        if (prng_below(&s->prng, 500) == 0)
            renew(s);
    }
    renew(s);
    (void)hmq_producer_close(s->producer, 0, &err);
    hmq_client_free(s->client);
    return NULL;
}

/* ---- closing what other threads are inside of ---- */

struct user {
    hmq_producer *producer;
    hmq_reader *reader; /* NULL: it flushes the producer */
    _Atomic pid_t tid; /* 0: it has not begun */
    _Atomic bool done;
    pthread_t thread;
};

/* One call, which lasts until the object is closed. */
static void *use_it(void *arg)
{
    struct user *u = arg;
    hmq_batch *batch = NULL;
    hmq_error err;
    atomic_store(&u->tid, gettid());
    if (!u->reader)
        (void)hmq_producer_flush(u->producer, RIG_DEADLINE_MS, &err);
    else if (hmq_reader_next(u->reader, RIG_DEADLINE_MS, &batch, &err) == HMQ_OK)
        hmq_batch_free(batch);
    atomic_store(&u->done, true);
    return NULL;
}

/* It sleeps, and there is nothing but the call that it could sleep in. */
static bool is_inside(void *arg)
{
    struct user *u = arg;
    char path[64], line[256] = "";
    if (atomic_load(&u->done))
        return true;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)atomic_load(&u->tid));
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    const char *state = strrchr(line, ')');
    return read && state && state[2] == 'S';
}

static void close_once(struct prng *prng)
{
    hmq_client *client = connect_through_net();
    struct user users[2] = {{0}};
    hmq_error err;
    RIG_CHECK(hmq_producer_new(client, NULL, &users[0].producer, &err), &err);
    RIG_CHECK(hmq_reader_new(client, "u", 0, 0, NULL, &users[1].reader, &err), &err);
    for (uint64_t n = prng_below(prng, 50); n > 0; n--)
        (void)!hmq_send_async(users[0].producer, "v", "x", 1, NULL, TIMEOUT_MS, NULL, NULL, &err);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&users[i].thread, NULL, use_it, &users[i]), 0);
        rig_eventually(is_inside, &users[i], "the call has begun");
    }
    bool early = prng_below(prng, 2);
    if (early)
        hmq_client_free(client);
    (void)hmq_reader_close(users[1].reader, 0, &err);
    (void)hmq_producer_close(users[0].producer, (int64_t)prng_below(prng, 2) * 10, &err);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(users[i].thread, NULL), 0);
    if (!early)
        hmq_client_free(client);
}

static void *close_under_use(void *arg)
{
    while (!atomic_load(&over))
        close_once(arg);
    return NULL;
}

/* ---- consumers ---- */

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    unsigned long which = strtoul(hmq_message_body(m, NULL), NULL, 10);
    if (which < MESSAGES && strcmp(hmq_message_topic(m), "t") == 0)
        atomic_fetch_add(&handled[which], 1);
    retry->delay_ms = 0;
    return which % 97 == 3 && hmq_message_attempt(m) == 1 ? HMQ_NACK : HMQ_ACK;
}

static void *consume_all(void *arg)
{
    struct prng *prng = arg;
    const char *topic = "t";
    hmq_error err;
    while (!atomic_load(&over)) {
        hmq_client *client = connect_through_net();
        hmq_consumer *consumer = NULL;
        RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, handle, NULL, NULL, &consumer, &err), &err);
        for (uint64_t n = 5 + prng_below(prng, 60); n > 0 && !atomic_load(&over); n--)
            spawn_pause();
        (void)hmq_consumer_close(consumer, (int64_t)prng_below(prng, 3) * 50, &err);
        hmq_client_free(client);
    }
    return NULL;
}

/* ---- transactions ---- */

enum plan { UNPLANNED, PLAN_COMMIT, PLAN_ROLLBACK };

static _Atomic int plans[TXNS], decided[TXNS]; /* decided: enum told, of the decision */

static enum hmq_decision look_up(void *arg, const hmq_check *check)
{
    size_t len = 0;
    (void)arg;
    const char *body = hmq_check_body(check, 0, &len);
    unsigned long which = body ? strtoul(body, NULL, 10) : TXNS;
    int plan = which < TXNS ? atomic_load(&plans[which]) : PLAN_ROLLBACK;
    return plan == PLAN_COMMIT ? HMQ_COMMIT : plan == PLAN_ROLLBACK ? HMQ_ROLLBACK : HMQ_UNDECIDED;
}

static void run_one(hmq_txn_producer *producer, unsigned which, struct prng *prng)
{
    char body[16];
    hmq_txid txid = 0;
    hmq_error err;
    snprintf(body, sizeof body, "%u", which);
    if (hmq_txn_half(producer, "x", body, strlen(body), NULL, TIMEOUT_MS, &txid, &err) != HMQ_OK) {
        atomic_store(&plans[which], PLAN_ROLLBACK);
        return;
    }
    bool commit = prng_below(prng, 3) > 0;
    atomic_store(&plans[which], commit ? PLAN_COMMIT : PLAN_ROLLBACK);
    enum hmq_status status = commit ? hmq_txn_commit(producer, txid, TIMEOUT_MS, NULL, &err)
                                    : hmq_txn_rollback(producer, txid, TIMEOUT_MS, &err);
    atomic_store(&decided[which], (int)told_by(status));
}

static void *run_txns(void *arg)
{
    struct prng *prng = arg;
    hmq_error err;
    unsigned which = 0;
    while (!atomic_load(&over) && which < TXNS) {
        hmq_client *client = connect_through_net();
        hmq_txn_producer *producer = NULL;
        RIG_CHECK(hmq_txn_producer_new(client, "pg", look_up, NULL, NULL, &producer, &err), &err);
        for (uint64_t n = prng_below(prng, 200); n > 0 && !atomic_load(&over) && which < TXNS; n--)
            run_one(producer, which++, prng);
        (void)hmq_txn_producer_close(producer, (int64_t)prng_below(prng, 2) * 50, &err);
        hmq_client_free(client);
    }
    return NULL;
}

/* ---- the blows ---- */

struct wish {
    unsigned (*count)(struct unruly *u);
    unsigned at_least;
};

static bool has_come(void *arg)
{
    const struct wish *w = arg;
    return w->count(net) >= w->at_least;
}

static unsigned progress_of(struct unruly *u)
{
    (void)u;
    return atomic_load(&progress);
}

static void await(unsigned (*count)(struct unruly *u), unsigned more, const char *what)
{
    struct wish w = {count, count(net) + more};
    rig_eventually(has_come, &w, what);
}

static void strike(struct prng *prng)
{
    switch (prng_below(prng, 5)) {
    case 0:
        spawn_kill(broker);
        spawn_again(broker);
        break;
    case 1: unruly_end(net, UNRULY_RESET); break;
    case 2: unruly_end(net, UNRULY_HALF_CLOSE); break;
    case 3:
        unruly_set(net, UNRULY_REFUSE);
        unruly_end(net, UNRULY_RESET);
        spawn_pause();
        unruly_set(net, UNRULY_PASS);
        break;
    default: /* what was sent before is sent again, and refused */
        unruly_set(net, UNRULY_FULL);
        unruly_end(net, UNRULY_RESET);
        await(unruly_refused, 20, "requests are refused");
        unruly_set(net, UNRULY_PASS);
        unruly_end(net, UNRULY_RESET);
    }
    await(progress_of, 200, "work goes on after a blow");
}

static unsigned rounds(void)
{
    const char *text = getenv("HALFMQ_STRESS_ROUNDS");
    return text ? (unsigned)strtoul(text, NULL, 10) : ROUNDS_SHORT;
}

/* ---- the verdict ---- */

static bool all_reached_a_handler(void *arg)
{
    const unsigned *counts = arg;
    for (size_t i = 0; i < MESSAGES; i++)
        if (counts[i] > 0 && atomic_load(&handled[i]) == 0)
            return false;
    return true;
}

static void judge_messages(const unsigned *counts)
{
    unsigned sums[NOT_DONE + 1] = {0};
    for (size_t i = 0; i < MESSAGES; i++) {
        int t = atomic_load(&told[i]);
        sums[t]++;
        bool right = t == STORED ? counts[i] == 1 : t == UNKNOWN ? counts[i] <= 1 : counts[i] == 0;
        if (!right || t == PENDING)
            fail_msg("message %zu: told %d, stored %u times", i, t, counts[i]);
    }
    print_message("messages: %u stored, %u unknown, %u not done\n", sums[STORED], sums[UNKNOWN], sums[NOT_DONE]);
    assert_int_equal(atomic_load(&twice), 0);
    assert_true(sums[STORED] > 100);
}

static void judge_transactions(const unsigned *counts)
{
    for (size_t i = 0; i < TXNS; i++) {
        bool commit = atomic_load(&plans[i]) == PLAN_COMMIT;
        bool right = !commit ? counts[i] == 0 : atomic_load(&decided[i]) == STORED ? counts[i] == 1 : counts[i] <= 1;
        if (!right)
            fail_msg("transaction %zu: plan %d, told %d, seen %u times", i, atomic_load(&plans[i]),
                     atomic_load(&decided[i]), counts[i]);
    }
}

static void judge(void)
{
    hmq_client *client = rig_connect(broker, QUERY);
    hmq_consumer *consumer = NULL;
    hmq_error err;
    const char *topic = "t";
    unsigned *counts = rig_count_bodies(client, "t", QUEUES, MESSAGES);
    judge_messages(counts);
    RIG_CHECK(hmq_consumer_new(client, "g", &topic, 1, handle, NULL, NULL, &consumer, &err), &err);
    rig_eventually(all_reached_a_handler, counts, "each message that is stored reaches a handler");
    RIG_CHECK(hmq_consumer_close(consumer, RIG_DEADLINE_MS, &err), &err);
    free(counts);
    counts = rig_count_bodies(client, "x", QUEUES, TXNS);
    judge_transactions(counts);
    free(counts);
    hmq_client_free(client);
}

static void create(hmq_client *client, const char *topic)
{
    const char *words[] = {"name", topic, "queues", "4", NULL};
    hmq_reply_free(rig_ask(client, "topic_create", words));
}

static void test_stress(void **state)
{
    static const char *const flags[] = {"--checkin", "200ms", "--check_every", "200ms", "--check_max", "1000", NULL};
    struct sender_of senders[SENDERS] = {0};
    pthread_t consumer, txns, closer;
    struct prng prng = prng_start(), for_consumer = {prng_next(&prng)}, for_txns = {prng_next(&prng)},
                for_closer = {prng_next(&prng)};
    (void)state;
    broker = rig_spawn(flags);
    net = unruly_start(broker->port);
    hmq_client *client = rig_connect(broker, "");
    create(client, "t");
    create(client, "x");
    create(client, "u");
    hmq_client_free(client);
    assert_int_equal(pthread_create(&consumer, NULL, consume_all, &for_consumer), 0);
    assert_int_equal(pthread_create(&txns, NULL, run_txns, &for_txns), 0);
    assert_int_equal(pthread_create(&closer, NULL, close_under_use, &for_closer), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender_of){.n = i, .prng = {prng_next(&prng)}};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    for (unsigned i = rounds(); i > 0; i--)
        strike(&prng);
    atomic_store(&over, true);
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_int_equal(pthread_join(consumer, NULL), 0);
    assert_int_equal(pthread_join(txns, NULL), 0);
    assert_int_equal(pthread_join(closer, NULL), 0);
    judge();
    unruly_stop(net);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
