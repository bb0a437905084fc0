/*
 * keep.c: many messages under way on few threads: `keep [group] [topic] [count]` stops after that many.
 *
 * The handler keeps each message (hmq_message_keep) and returns at once, as a program does that asks another service and
 * is called back. Here a thread plays that service: it answers in an order of its own, and hmq_message_end acknowledges the
 * message then. Until that, the library extends the lease. A lease can be lost all the same, as when the connection is
 * down for longer: then the acknowledgement is told as HMQ_ESTALE, and the message comes again.
 */
#include <halfmq.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define UNDER_WAY 64

struct service {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const hmq_message *asked[UNDER_WAY];
    unsigned n;
    unsigned long left; /* to acknowledge before the program stops */
};

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct service *s = arg;
    retry->delay_ms = 100;
    pthread_mutex_lock(&s->lock);
    bool taken = s->n < UNDER_WAY && hmq_message_keep(m, NULL) == HMQ_OK;
    if (taken)
        s->asked[s->n++] = m;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return taken ? HMQ_KEEP : HMQ_NACK; /* the result does not count for a message that is kept */
}

static void on_ended(void *arg, const hmq_error *err)
{
    struct service *s = arg;
    pthread_mutex_lock(&s->lock);
    if (err->code != HMQ_OK)
        fprintf(stderr, "not acknowledged: %s\n", err->text);
    else if (s->left > 0)
        s->left--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Answers the youngest first, until as many are acknowledged as were asked for. */
static void serve(struct service *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->left > 0) {
        if (s->n == 0) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        const hmq_message *m = s->asked[--s->n];
        pthread_mutex_unlock(&s->lock);
        printf("%s\n", hmq_message_id(m));
        hmq_message_end(m, HMQ_ACK, NULL, on_ended, s, NULL); /* m is not valid from here on */
        pthread_mutex_lock(&s->lock);
    }
    while (s->n > 0) /* those that are too many: somebody else is to have them at once */
        hmq_message_end(s->asked[--s->n], HMQ_NACK, NULL, NULL, NULL, NULL);
    pthread_mutex_unlock(&s->lock);
}

int main(int argc, char **argv)
{
    const char *group = argc > 1 ? argv[1] : "readers";
    const char *topic = argc > 2 ? argv[2] : "greetings";
    struct service s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    hmq_client *client = NULL;
    hmq_consumer *consumer = NULL;
    hmq_error err;
    s.left = argc > 3 ? strtoul(argv[3], NULL, 10) : 10;
    enum hmq_status status = hmq_client_open(NULL, &client, &err);
    if (status == HMQ_OK)
        status = hmq_consumer_new(client, group, &topic, 1, on_message, &s, NULL, &consumer, &err);
    if (status == HMQ_OK) {
        serve(&s);
        hmq_consumer_pause(consumer, HMQ_DEFAULT, NULL); /* no handler keeps another one */
        serve(&s);
        status = hmq_consumer_close(consumer, 10000, &err);
    }
    hmq_client_free(client);
    if (status != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(status), err.text);
    return status == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
