/*
 * consume.c: receives messages. `consume [group] [topic] [count]` stops after that many, or at Ctrl-C.
 *
 * The handler runs on the consumer's worker threads. Its result says what happens to the message: ACK
 * (done), NACK (redeliver it later) or REJECT (move it to the dead letters). If this program dies before
 * that, the lease expires and the broker redelivers the message to another consumer. So a message may be
 * delivered twice, but never gets lost.
 */
#include <halfmq.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reader {
    pthread_mutex_t lock;
    unsigned long left; /* messages to handle before the program stops */
};

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct reader *reader = arg;
    size_t len;
    const char *body = hmq_message_body(m, &len);
    if (len == strlen("not today") && memcmp(body, "not today", len) == 0) {
        retry->delay_ms = 60 * 1000;
        snprintf(retry->reason, sizeof retry->reason, "the message asked for it");
        return HMQ_NACK;
    }
    pthread_mutex_lock(&reader->lock);
    printf("%s attempt %u: %.*s\n", hmq_message_id(m), hmq_message_attempt(m), (int)len, body);
    fflush(stdout);
    if (reader->left > 0 && --reader->left == 0)
        kill(getpid(), SIGTERM);
    pthread_mutex_unlock(&reader->lock);
    return HMQ_ACK;
}

int main(int argc, char **argv)
{
    const char *group = argc > 1 ? argv[1] : "readers";
    const char *topic = argc > 2 ? argv[2] : "greetings";
    struct reader reader = {PTHREAD_MUTEX_INITIALIZER, argc > 3 ? strtoul(argv[3], NULL, 10) : 0};
    hmq_client *client = NULL;
    hmq_consumer *consumer = NULL;
    hmq_error err;
    sigset_t ends;
    int signal_number;

    /* main waits for these signals; threads that are started from here on do not receive them. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    if (hmq_client_open(NULL, &client, &err) == HMQ_OK &&
        hmq_consumer_new(client, group, &topic, 1, on_message, &reader, NULL, &consumer, &err) ==
            HMQ_OK)
        sigwait(&ends, &signal_number);

    /* Requeues messages that no handler has started on, and sends the last acknowledgements. */
    if (consumer)
        hmq_consumer_close(consumer, 10000, &err);
    hmq_client_free(client);
    if (err.code != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
