/*
 * watch.c: shows what happens on a topic now: `watch [topic] [count]` stops after that many, or at Ctrl-C.
 *
 * It is told of each message as soon as that is stored. Nothing is stored for it, so it must not be used for work that has
 * to be done: what comes while the connection is down is missed, and the line "begins" says so. For what was sent before,
 * it reads the topic's queues from an hour ago.
 */
#include <halfmq.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct screen {
    pthread_mutex_t lock;
    unsigned long left;
};

static void on_copy(void *arg, const char *topic, const void *body, size_t len)
{
    struct screen *s = arg;
    if (!topic) {
        printf("begins\n");
    } else {
        printf("%s: %.*s\n", topic, (int)len, (const char *)body);
        pthread_mutex_lock(&s->lock);
        if (s->left > 0 && --s->left == 0)
            kill(getpid(), SIGTERM);
        pthread_mutex_unlock(&s->lock);
    }
    fflush(stdout);
}

static enum hmq_status show_last_hour(hmq_client *client, const char *topic, uint32_t queue, hmq_error *err)
{
    hmq_reader *reader = NULL;
    uint64_t from = 0, end = 0;
    int64_t since_ms = ((int64_t)time(NULL) - 3600) * 1000;
    enum hmq_status status = hmq_queue_range(client, topic, queue, HMQ_DEFAULT, NULL, &end, err);
    if (status == HMQ_OK)
        status = hmq_queue_find(client, topic, queue, since_ms, HMQ_DEFAULT, &from, err);
    if (status == HMQ_OK)
        status = hmq_reader_new(client, topic, queue, from, NULL, &reader, err);
    while (status == HMQ_OK && hmq_reader_position(reader) < end) {
        hmq_batch *batch = NULL;
        status = hmq_reader_next(reader, HMQ_DEFAULT, &batch, err);
        for (size_t i = 0; i < hmq_batch_count(batch); i++)
            printf("%s was there\n", hmq_message_id(hmq_batch_at(batch, i)));
        hmq_batch_free(batch);
    }
    hmq_reader_close(reader, HMQ_DEFAULT, NULL);
    return status;
}

/* An unknown topic has no queues yet, which is no error. */
static enum hmq_status show_queues(hmq_client *client, const char *topic, hmq_error *err)
{
    enum hmq_status status = HMQ_OK;
    for (uint32_t queue = 0; status == HMQ_OK; queue++)
        status = show_last_hour(client, topic, queue, err);
    fflush(stdout);
    return status == HMQ_EREFUSED || status == HMQ_ENOTOPIC ? HMQ_OK : status;
}

int main(int argc, char **argv)
{
    const char *topic = argc > 1 ? argv[1] : "greetings";
    struct screen screen = {PTHREAD_MUTEX_INITIALIZER, argc > 2 ? strtoul(argv[2], NULL, 10) : 0};
    hmq_client *client = NULL;
    hmq_subscription *subscription = NULL;
    hmq_error err;
    sigset_t ends;
    int signal_number;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    enum hmq_status status = hmq_client_open(NULL, &client, &err);
    if (status == HMQ_OK)
        status = show_queues(client, topic, &err);
    if (status == HMQ_OK)
        status = hmq_subscription_new(client, &topic, 1, on_copy, &screen, &subscription, &err);
    if (status == HMQ_OK)
        sigwait(&ends, &signal_number);
    hmq_subscription_close(subscription, NULL);
    hmq_client_free(client);
    if (status != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(status), err.text);
    return status == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
