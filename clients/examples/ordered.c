/*
 * ordered.c: a consumer that is ordered by ORDER key, and one that takes many messages at once.
 *
 *   ordered send [topic] [accounts] [each]        sends so many changes of each account, ORDER by account
 *   ordered apply [group] [topic] [count]         applies them, those of an account one after another, on four workers
 *   ordered sum [group] [topic] [count]           adds them up, up to 100 at once
 */
#include <halfmq.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS 100

struct bank {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned long last[ACCOUNTS]; /* change of each account */
    unsigned long handled, calls, out_of_order;
};

/* "account change" */
static void read_change(const hmq_message *m, unsigned long *ret_account, unsigned long *ret_change)
{
    char *end;
    *ret_account = strtoul(hmq_message_body(m, NULL), &end, 10) % ACCOUNTS;
    *ret_change = strtoul(end, NULL, 10);
}

static void count(struct bank *b, size_t n)
{
    b->handled += n;
    b->calls++;
    pthread_cond_broadcast(&b->changed);
}

/* No other worker has a change of this account, so that what is read here is still so when it is written. */
static enum hmq_verdict apply(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct bank *b = arg;
    unsigned long account, change;
    (void)retry;
    read_change(m, &account, &change);
    pthread_mutex_lock(&b->lock);
    b->out_of_order += change != b->last[account] + 1;
    b->last[account] = change;
    count(b, 1);
    pthread_mutex_unlock(&b->lock);
    return HMQ_ACK;
}

static enum hmq_verdict sum(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    struct bank *b = arg;
    (void)retry;
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        unsigned long account, change;
        read_change(messages[i], &account, &change);
        b->last[account]++;
    }
    count(b, n);
    pthread_mutex_unlock(&b->lock);
    return HMQ_ACK; /* for all of them; hmq_message_end in here would end one otherwise */
}

static enum hmq_status send_changes(hmq_client *client, const char *topic, unsigned long accounts, unsigned long each,
                                    hmq_error *err)
{
    hmq_producer *producer = NULL;
    enum hmq_status status = hmq_producer_new(client, NULL, &producer, err);
    for (unsigned long i = 0; status == HMQ_OK && i < accounts * each; i++) {
        char order[32], body[64];
        hmq_send_options o = HMQ_SEND_OPTIONS;
        snprintf(order, sizeof order, "account %lu", i % accounts);
        int len = snprintf(body, sizeof body, "%lu %lu", i % accounts, i / accounts + 1);
        o.order = order;
        status = hmq_send_async(producer, topic, body, (size_t)len, &o, HMQ_DEFAULT, NULL, NULL, err);
    }
    if (producer && status == HMQ_OK)
        return hmq_producer_close(producer, HMQ_DEFAULT, err);
    hmq_producer_close(producer, 0, NULL);
    return status;
}

static enum hmq_status consume(hmq_client *client, bool ordered, const char *group, const char *topic,
                               unsigned long wanted, hmq_error *err)
{
    struct bank b = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    hmq_consumer *consumer = NULL;
    hmq_options *o = hmq_options_new();
    enum hmq_status status = hmq_options_set_uri(o, NULL, err);
    if (status == HMQ_OK)
        status = hmq_options_set(o, "workers", "4", err);
    if (status == HMQ_OK && ordered)
        status = hmq_options_set(o, "ordered", "yes", err);
    if (status == HMQ_OK)
        status = ordered ? hmq_consumer_new(client, group, &topic, 1, apply, &b, o, &consumer, err)
                         : hmq_consumer_new_batch(client, group, &topic, 1, sum, &b, o, &consumer, err);
    hmq_options_free(o);
    if (status != HMQ_OK)
        return status;
    pthread_mutex_lock(&b.lock);
    while (b.handled < wanted)
        pthread_cond_wait(&b.changed, &b.lock);
    pthread_mutex_unlock(&b.lock);
    status = hmq_consumer_close(consumer, 10000, err);
    printf("%lu changes in %lu calls, %lu out of order\n", b.handled, b.calls, b.out_of_order);
    return status;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "send";
    hmq_client *client = NULL;
    hmq_error err;
    enum hmq_status status = hmq_client_open(NULL, &client, &err);
    if (status == HMQ_OK && strcmp(what, "send") == 0)
        status = send_changes(client, argc > 2 ? argv[2] : "changes", argc > 3 ? strtoul(argv[3], NULL, 10) : 10,
                              argc > 4 ? strtoul(argv[4], NULL, 10) : 10, &err);
    else if (status == HMQ_OK)
        status = consume(client, strcmp(what, "apply") == 0, argc > 2 ? argv[2] : "bank",
                         argc > 3 ? argv[3] : "changes", argc > 4 ? strtoul(argv[4], NULL, 10) : 100, &err);
    hmq_client_free(client);
    if (status != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(status), err.text);
    return status == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
