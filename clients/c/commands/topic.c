/* topic.c: topics: making them, and their settings; reading a page of a queue, and what a transaction holds. */
#include "clients/c/commands/ask.h"

#include "clients/c/client/client.h"
#include "clients/c/wire/message.h"
#include "clients/c/wire/sized.h"

#include <inttypes.h>
#include <stdio.h>

static enum hmq_status topic_ask(hmq_client *c, const char *method, const char *topic, const hmq_topic_settings *settings,
                                 int64_t timeout_ms, hmq_error *err)
{
    hmq_topic_settings s = HMQ_TOPIC_SETTINGS;
    if (!c || !topic)
        return error_set(err, HMQ_EINVAL, "%s needs a client and a topic", method);
    if (settings && !sized_read(&s, sizeof s, settings, sizeof s))
        return error_set(err, HMQ_EINVAL, "settings: start from HMQ_TOPIC_SETTINGS, of a header no newer than the library");
    hmq_request *r = ask_begin(method);
    hmq_request_put_text(r, "name", topic);
    if (s.queues > 0)
        hmq_request_put_int(r, "queues", s.queues);
    ask_put_number(r, "retention", s.retention_ms);
    ask_put_number(r, "maxbytes", s.max_bytes);
    ask_put_text(r, "compress", s.compress);
    return ask_end(c, r, timeout_ms, NULL, err);
}

enum hmq_status hmq_topic_create(hmq_client *c, const char *topic, const hmq_topic_settings *settings, int64_t timeout_ms,
                                 hmq_error *err)
{
    return topic_ask(c, "topic_create", topic, settings, timeout_ms, err);
}

enum hmq_status hmq_topic_set(hmq_client *c, const char *topic, const hmq_topic_settings *settings, int64_t timeout_ms,
                              hmq_error *err)
{
    if (!settings)
        return error_set(err, HMQ_EINVAL, "the settings are NULL");
    return topic_ask(c, "topic_set", topic, settings, timeout_ms, err);
}

/* ---- reading ---- */

/* Sends it; the messages of its reply as a batch. */
static enum hmq_status topic_messages(hmq_client *c, hmq_request *r, int64_t timeout_ms, hmq_batch **ret_batch,
                                      hmq_error *err)
{
    hmq_reply *reply = NULL;
    if (r)
        hmq_request_repeatable(r);
    enum hmq_status status = ask_end(c, r, timeout_ms, &reply, err);
    if (status != HMQ_OK)
        return status;
    status = batch_of_part(reply, reply, ret_batch);
    if (status == HMQ_OK)
        return HMQ_OK;
    hmq_reply_free(reply);
    return error_set(err, status, "%s", status == HMQ_ENOMEM ? "no memory for the messages of the reply"
                                                             : "the broker's messages are not valid");
}

enum hmq_status hmq_read(hmq_client *c, const char *topic, const hmq_position *from, size_t count, int64_t wait_ms,
                         hmq_batch **ret_batch, hmq_error *err)
{
    char place[PLACE_TEXT_SIZE];
    if (!c || !topic || !ret_batch || wait_ms < 0)
        return error_set(err, HMQ_EINVAL, "a read needs a client, a topic, a wait_ms of 0 or more and ret_batch");
    enum hmq_status status = ask_place(from, place, err);
    if (status != HMQ_OK)
        return status;
    hmq_request *r = ask_begin("read");
    hmq_request_put_text(r, "topic", topic);
    hmq_request_put_int(r, "queue", from->queue);
    hmq_request_put_text(r, "offset", place);
    hmq_request_put_int(r, "count", (int64_t)count);
    if (wait_ms > 0)
        hmq_request_put_int(r, "wait", wait_ms);
    int64_t timeout_ms = options_num(client_options(c), CHOICE_call_timeout_ms);
    return topic_messages(c, r, timeout_ms + (wait_ms < TIMEOUT_MS_MAX ? wait_ms : TIMEOUT_MS_MAX), ret_batch, err);
}

enum hmq_status hmq_txn_messages(hmq_client *c, hmq_txid txid, int64_t timeout_ms, hmq_batch **ret_batch, hmq_error *err)
{
    char text[24];
    if (!c || !ret_batch)
        return error_set(err, HMQ_EINVAL, "a client and ret_batch are needed");
    snprintf(text, sizeof text, "%" PRIu64, txid);
    hmq_request *r = ask_begin("txn_messages");
    hmq_request_put_text(r, "txid", text);
    return topic_messages(c, r, timeout_ms, ret_batch, err);
}

enum hmq_status hmq_delayed_cancel(hmq_client *c, const char *token, int64_t timeout_ms, int *ret_cancelled, hmq_error *err)
{
    uint64_t n = 0;
    if (!c || !token)
        return error_set(err, HMQ_EINVAL, "a client and a token are needed");
    hmq_request *r = ask_begin("delayed_cancel");
    hmq_request_put_text(r, "token", token);
    enum hmq_status status = ask_count(c, r, timeout_ms, &n, err);
    if (status == HMQ_OK && ret_cancelled)
        *ret_cancelled = n > 0;
    return status;
}
