/*
 * copy.c: copies a topic to another one, to the byte: `copy <from> <to>`.
 *
 * Queue by queue, a reader takes the messages as the broker stored them, and hmq_send_batch stores them in the queue of
 * the same number, with keys, tags, ORDER keys, properties, TTLs and the time when they were born. It copies what is
 * there when it begins. Where messages are missing, because they were deleted or are damaged, it says so; the offsets of
 * the copy are lower from there on.
 */
#include <halfmq.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct copier {
    hmq_client *client;
    hmq_producer *producer;
    const char *from, *to;
    uint64_t copied;
};

static enum hmq_status copy_batches(struct copier *c, hmq_reader *reader, uint32_t queue, uint64_t end, hmq_error *err)
{
    enum hmq_status status = HMQ_OK;
    while (status == HMQ_OK && hmq_reader_position(reader) < end) {
        hmq_batch *batch = NULL;
        status = hmq_reader_next(reader, HMQ_DEFAULT, &batch, err);
        if (status == HMQ_EDAMAGED) { /* the next call goes on behind the damage */
            fprintf(stderr, "%s\n", err->text);
            status = HMQ_OK;
            continue;
        }
        if (status != HMQ_OK)
            break;
        if (hmq_batch_gap(batch) > 0)
            fprintf(stderr, "queue %u: %" PRIu64 " messages are missing before offset %" PRIu64 "\n", queue,
                    hmq_batch_gap(batch), hmq_message_offset(hmq_batch_at(batch, 0)));
        status = hmq_send_batch(c->producer, c->to, (int32_t)queue, batch, HMQ_DEFAULT, NULL, err);
        c->copied += status == HMQ_OK ? hmq_batch_count(batch) : 0;
        hmq_batch_free(batch);
    }
    return status;
}

static enum hmq_status copy_queue(struct copier *c, uint32_t queue, hmq_error *err)
{
    hmq_reader *reader = NULL;
    uint64_t first = 0, end = 0;
    enum hmq_status status = hmq_queue_range(c->client, c->from, queue, HMQ_DEFAULT, &first, &end, err);
    if (status == HMQ_OK)
        status = hmq_reader_new(c->client, c->from, queue, first, NULL, &reader, err);
    if (status != HMQ_OK)
        return status;
    status = copy_batches(c, reader, queue, end, err);
    hmq_reader_close(reader, HMQ_DEFAULT, NULL);
    return status;
}

/* Creates the topic with as many queues, so that each ORDER key belongs to the same one. */
static enum hmq_status create_like(struct copier *c, int64_t queues, hmq_error *err)
{
    hmq_request *create = hmq_request_new("topic_create");
    hmq_request_put_text(create, "name", c->to);
    hmq_request_put_int(create, "queues", queues);
    enum hmq_status status = hmq_call(c->client, create, HMQ_DEFAULT, NULL, err);
    hmq_request_free(create);
    return status == HMQ_EEXISTS ? HMQ_OK : status;
}

static enum hmq_status copy_topic(struct copier *c, hmq_error *err)
{
    hmq_reply *info = NULL;
    hmq_request *ask = hmq_request_new("topic_info");
    hmq_request_put_text(ask, "name", c->from);
    enum hmq_status status = hmq_call(c->client, ask, HMQ_DEFAULT, &info, err);
    hmq_request_free(ask);
    int64_t queues = hmq_reply_int(hmq_reply_get(info, "queues"), 0);
    hmq_reply_free(info);
    if (status == HMQ_OK)
        status = create_like(c, queues, err);
    for (uint32_t queue = 0; status == HMQ_OK && queue < (uint32_t)queues; queue++)
        status = copy_queue(c, queue, err);
    return status;
}

int main(int argc, char **argv)
{
    struct copier c = {.from = argc > 1 ? argv[1] : "greetings", .to = argc > 2 ? argv[2] : "greetings.copy"};
    hmq_error err;
    enum hmq_status status = hmq_client_open(NULL, &c.client, &err);
    if (status == HMQ_OK)
        status = hmq_producer_new(c.client, NULL, &c.producer, &err);
    if (status == HMQ_OK)
        status = copy_topic(&c, &err);
    if (status == HMQ_OK)
        printf("%" PRIu64 " messages copied\n", c.copied);
    else
        fprintf(stderr, "%s: %s\n", hmq_status_name(status), err.text);
    if (c.producer)
        hmq_producer_close(c.producer, HMQ_DEFAULT, NULL);
    hmq_client_free(c.client);
    return status == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
