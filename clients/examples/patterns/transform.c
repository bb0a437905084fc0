/*
 * transform.c: consumes, transforms and produces messages, each exactly once.
 * `transform [from] [to]` copies one topic into another in capital letters, as the group `transform`.
 *
 *   POP ──► half ──► COMMIT half ACK receipt: publishes the result and acknowledges the input, atomically
 *
 * There is no database here. When the broker asks about a transaction that is still open, this program
 * rolls it back: its input was not acknowledged either, so it will be redelivered. You can run any number
 * of these programs at a time.
 */
#include <ctype.h>
#include <halfmq.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP "transform"

struct work {
    const char *to;
    hmq_txn_producer *producer;
};

static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    (void)arg;
    (void)check;
    return HMQ_ROLLBACK; /* a thread that is still working on it is refused at its COMMIT */
}

/* The transformation itself. Returns NULL if there is no memory. */
static char *capitals(const hmq_message *m, size_t *ret_len)
{
    const char *body = hmq_message_body(m, ret_len);
    char *out = malloc(*ret_len + 1);
    for (size_t i = 0; out && i < *ret_len; i++)
        out[i] = (char)toupper((unsigned char)body[i]);
    return out;
}

static enum hmq_verdict on_message(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct work *work = arg;
    const char *receipt = hmq_message_receipt(m);
    hmq_txid txid = 0;
    hmq_error err;
    size_t len;
    char *out = capitals(m, &len);
    hmq_send_options options = HMQ_SEND_OPTIONS;
    options.order = hmq_message_order(m);

    if (!out)
        return HMQ_NACK;
    if (hmq_txn_half(work->producer, work->to, out, len, &options, HMQ_DEFAULT, &txid, &err) ==
        HMQ_OK)
        hmq_txn_commit_ack(work->producer, txid, GROUP, &receipt, 1, HMQ_DEFAULT, NULL, &err);
    free(out);
    switch (err.code) {
    case HMQ_OK: return HMQ_KEEP; /* hmq_txn_commit_ack has acknowledged it */
    case HMQ_ESTALE: /* the lease expired, another consumer may have the message: drop our half message */
        hmq_txn_rollback(work->producer, txid, HMQ_DEFAULT, NULL);
        return HMQ_KEEP;
    case HMQ_EUNKNOWN: return HMQ_KEEP; /* it was done, or the lease expires and it is redelivered */
    default: snprintf(retry->reason, sizeof retry->reason, "%.200s", err.text); return HMQ_NACK;
    }
}

int main(int argc, char **argv)
{
    const char *from = argc > 1 ? argv[1] : "words";
    struct work work = {.to = argc > 2 ? argv[2] : "loud"};
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
        hmq_txn_producer_new(client, GROUP, on_check, NULL, NULL, &work.producer, &err) == HMQ_OK &&
        hmq_consumer_new(client, GROUP, &from, 1, on_message, &work, NULL, &consumer, &err) ==
            HMQ_OK)
        sigwait(&ends, &signal_number);

    if (consumer)
        hmq_consumer_close(consumer, 10000, &err);
    hmq_txn_producer_close(work.producer, 10000, NULL);
    hmq_client_free(client);
    if (err.code != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
