/*
 * produce.c: sends messages. `produce [topic] [count]` connects to HALFMQ_URL or to 127.0.0.1:4253.
 *
 * The first message is sent with hmq_send, which waits for the reply: when it returns, the message is on
 * the broker's disk. The others are sent with hmq_send_async, which does not wait; the replies arrive
 * later, on the client's own thread. This is the fast way. If the connection is lost meanwhile, the
 * library sends the messages without a reply again, and the broker stores each of them once.
 */
#include <halfmq.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long
    failures; /* until the flush, only callbacks use it, and these run one at a time */

static void sent(void *arg, const char *id, const hmq_error *err)
{
    (void)arg;
    if (!id) {
        fprintf(stderr, "%s: %s\n", hmq_status_name(err->code), err->text);
        failures++;
    }
}

static enum hmq_status send_many(hmq_producer *producer, const char *topic, unsigned long count,
                                 hmq_error *err)
{
    char body[64];
    enum hmq_status status = HMQ_OK;
    for (unsigned long i = 1; i <= count && status == HMQ_OK; i++) {
        int n = snprintf(body, sizeof body, "message %lu", i);
        status =
            hmq_send_async(producer, topic, body, (size_t)n, NULL, HMQ_DEFAULT, sent, NULL, err);
    }
    return status == HMQ_OK ? hmq_producer_flush(producer, HMQ_DEFAULT, err) : status;
}

int main(int argc, char **argv)
{
    const char *topic = argc > 1 ? argv[1] : "greetings";
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 10;
    hmq_send_options options = HMQ_SEND_OPTIONS;
    hmq_client *client = NULL;
    hmq_producer *producer = NULL;
    hmq_error err;
    char id[HMQ_ID_SIZE];

    options.key = "first";
    options.ttl_ms = 3600 * 1000;
    if (hmq_client_open(NULL, &client, &err) == HMQ_OK &&
        hmq_producer_new(client, NULL, &producer, &err) == HMQ_OK &&
        hmq_send(producer, topic, "hello", 5, &options, HMQ_DEFAULT, id, &err) == HMQ_OK) {
        printf("%s\n", id);
        send_many(producer, topic, count, &err);
    }
    hmq_producer_close(producer, 0, NULL);
    hmq_client_free(client);
    if (err.code != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    else
        printf("%lu more sent\n", count - failures);
    return err.code == HMQ_OK && failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
