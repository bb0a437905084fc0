/*
 * test_client_subscription.c: tests live copies of new messages: of several topics, after a lost connection, and with two
 * subscriptions to one topic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/rig.h"

#define FAST "?reconnect_min_ms=1&reconnect_max_ms=5"

struct screen {
    pthread_mutex_t lock;
    unsigned begun, copies, bytes;
    char last_topic[32], last_body[64];
};

#define SCREEN {.lock = PTHREAD_MUTEX_INITIALIZER}

static void on_copy(void *arg, const char *topic, const void *body, size_t len)
{
    struct screen *s = arg;
    pthread_mutex_lock(&s->lock);
    if (topic) {
        s->copies++;
        s->bytes += (unsigned)len;
        snprintf(s->last_topic, sizeof s->last_topic, "%s", topic);
        snprintf(s->last_body, sizeof s->last_body, "%.*s", (int)len, (const char *)body);
    } else {
        s->begun++;
    }
    pthread_mutex_unlock(&s->lock);
}

struct wish {
    struct screen *screen;
    const unsigned *field;
    unsigned n;
};

static bool reached(void *arg)
{
    struct wish *w = arg;
    pthread_mutex_lock(&w->screen->lock);
    bool yes = *w->field >= w->n;
    pthread_mutex_unlock(&w->screen->lock);
    return yes;
}

static void wait_for(struct screen *s, const unsigned *field, unsigned n, const char *what)
{
    struct wish w = {s, field, n};
    rig_eventually(reached, &w, what);
}

static hmq_subscription *subscribe(struct screen *s, const char *const *topics, size_t n)
{
    hmq_subscription *subscription = NULL;
    hmq_error err;
    unsigned begun = s->begun;
    RIG_CHECK(hmq_subscription_new(rig.client, topics, n, on_copy, s, &subscription, &err), &err);
    wait_for(s, &s->begun, begun + 1, "copies begin");
    return subscription;
}

static void test_copies_of_several_topics(void **state)
{
    (void)state;
    struct screen s = SCREEN;
    hmq_error err;
    hmq_subscription *subscription = subscribe(&s, (const char *[]){"one", "two"}, 2);
    rig_put(rig.client, "one", "first");
    wait_for(&s, &s.copies, 1, "the first comes");
    assert_string_equal(s.last_topic, "one");
    assert_string_equal(s.last_body, "first");
    rig_put(rig.client, "three", "not ours");
    rig_put(rig.client, "two", "");
    wait_for(&s, &s.copies, 2, "an empty one comes");
    assert_string_equal(s.last_topic, "two");
    assert_int_equal(s.bytes, 5);
    spawn_kill(rig.broker);
    spawn_again(rig.broker);
    wait_for(&s, &s.begun, 2, "it begins again");
    rig_put(rig.client, "two", "after");
    wait_for(&s, &s.copies, 3, "and goes on");
    assert_string_equal(s.last_body, "after");
    RIG_CHECK(hmq_subscription_close(subscription, &err), &err);
    rig_put(rig.client, "two", "nobody looks");
    RIG_CHECK(hmq_client_flush(rig.client, RIG_DEADLINE_MS, &err), &err);
    assert_int_equal(s.copies, 3);
}

/* Closing one leaves the other; the last one unsubscribes, so that the broker sends no more. */
static void test_two_of_one_topic(void **state)
{
    (void)state;
    struct screen a = SCREEN, b = SCREEN;
    const char *topic = "shared";
    hmq_error err;
    hmq_subscription *first = subscribe(&a, &topic, 1), *second = subscribe(&b, &topic, 1);
    rig_put(rig.client, topic, "both");
    wait_for(&a, &a.copies, 1, "it comes to one");
    wait_for(&b, &b.copies, 1, "and to the other");
    RIG_CHECK(hmq_subscription_close(first, &err), &err);
    rig_put(rig.client, topic, "one");
    wait_for(&b, &b.copies, 2, "the other goes on");
    assert_int_equal(a.copies, 1);
    for (unsigned i = 0; i < 50; i++) { /* whichever comes first, closing or subscribing */
        hmq_subscription *next = NULL;
        RIG_CHECK(hmq_subscription_new(rig.client, &topic, 1, on_copy, &a, &next, &err), &err);
        RIG_CHECK(hmq_subscription_close(second, &err), &err);
        second = next;
    }
    unsigned copies = a.copies;
    wait_for(&a, &a.begun, 2, "the last one begins");
    rig_put(rig.client, topic, "still there");
    wait_for(&a, &a.copies, copies + 1, "it is still subscribed");
    RIG_CHECK(hmq_subscription_close(second, &err), &err);
    hmq_reply *channels = rig_ask(rig.client, "subscribe", (const char *[]){"channel", "topic:only", NULL});
    assert_int_equal(hmq_reply_int(channels, -1), 1); /* of this connection: no other one is left */
    hmq_reply_free(channels);
    hmq_reply_free(rig_ask(rig.client, "unsubscribe", NULL));
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct screen s = SCREEN;
    hmq_subscription *subscription = NULL;
    const char *topics[] = {"a", NULL};
    hmq_error err;
    assert_int_equal(hmq_subscription_new(rig.client, topics, 2, on_copy, &s, &subscription, &err), HMQ_EINVAL);
    assert_int_equal(hmq_subscription_new(rig.client, topics, 0, on_copy, &s, &subscription, &err), HMQ_EINVAL);
    assert_int_equal(hmq_subscription_new(rig.client, topics, 1, NULL, &s, &subscription, &err), HMQ_EINVAL);
    RIG_CHECK(hmq_subscription_close(NULL, &err), &err);
    topics[0] = "no/name"; /* the broker refuses it, and is asked again later */
    RIG_CHECK(hmq_subscription_new(rig.client, topics, 1, on_copy, &s, &subscription, &err), &err);
    hmq_reply_free(rig_ask(rig.client, "ping", NULL));
    RIG_CHECK(hmq_subscription_close(subscription, &err), &err);
    assert_int_equal(s.begun, 0);
}

/* ---- the rules of the user change ---- */

static void set_rules(const char *const *rules, size_t n)
{
    hmq_request *r = hmq_request_new("acl_setuser");
    hmq_error err;
    hmq_request_put_text(r, "user", "watcher");
    hmq_request_put_list(r, "rule", rules, n);
    RIG_CHECK(hmq_call(rig.client, r, RIG_DEADLINE_MS, NULL, &err), &err);
    hmq_request_free(r);
}

/* The first trouble and the latest. */
struct troubles {
    pthread_mutex_t lock;
    unsigned n;
    char first[HMQ_ERROR_TEXT_SIZE];
};

static void on_event(void *arg, enum hmq_event event, const char *text)
{
    struct troubles *t = arg;
    if (event != HMQ_EVENT_TROUBLE)
        return;
    pthread_mutex_lock(&t->lock);
    if (t->n++ == 0)
        snprintf(t->first, sizeof t->first, "%s", text);
    pthread_mutex_unlock(&t->lock);
}

static bool is_troubled(void *arg)
{
    struct troubles *t = arg;
    pthread_mutex_lock(&t->lock);
    bool yes = t->n > 0;
    pthread_mutex_unlock(&t->lock);
    return yes;
}

/* The application is told, the other topic goes on, and copies begin again when the rules allow it. */
static void test_what_is_revoked(void **state)
{
    (void)state;
    struct screen s = SCREEN;
    struct troubles troubles = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_client *client = NULL;
    hmq_subscription *subscription = NULL;
    hmq_options *options = rig_options_for(rig.broker->port, FAST);
    hmq_error err;
    set_rules((const char *[]){"on", "nopass", "allcommands", "alltopics"}, 4);
    RIG_CHECK(hmq_options_set(options, "user", "watcher", &err), &err);
    RIG_CHECK(hmq_options_set(options, "password", "any", &err), &err);
    hmq_options_set_event_fn(options, on_event, &troubles);
    RIG_CHECK(hmq_client_new(options, &client, &err), &err);
    RIG_CHECK(hmq_subscription_new(client, (const char *[]){"lose", "keep"}, 2, on_copy, &s, &subscription, &err), &err);
    wait_for(&s, &s.begun, 1, "copies begin");
    assert_false(is_troubled(&troubles));
    set_rules((const char *[]){"resettopics", "~keep"}, 2);
    rig_eventually(is_troubled, &troubles, "the application is told");
    assert_non_null(strstr(troubles.first, "topic:lose"));
    assert_non_null(strstr(troubles.first, "rules"));
    rig_put(rig.client, "lose", "not for us");
    rig_put(rig.client, "keep", "ours");
    wait_for(&s, &s.copies, 1, "the other topic goes on");
    assert_string_equal(s.last_body, "ours");
    set_rules((const char *[]){"alltopics"}, 1);
    wait_for(&s, &s.begun, 2, "it begins again");
    rig_put(rig.client, "lose", "ours again");
    wait_for(&s, &s.copies, 2, "and goes on");
    RIG_CHECK(hmq_subscription_close(subscription, &err), &err);
    hmq_client_free(client);
    hmq_options_free(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_of_several_topics),
        cmocka_unit_test(test_two_of_one_topic),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_what_is_revoked),
    };
    rig.query = FAST;
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
