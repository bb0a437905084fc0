/* ask.c: builds, sends and frees the requests of this folder; see ask.h. */
#include "clients/c/commands/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/c/wire/reply.h"

hmq_request *ask_begin(const char *method)
{
    return hmq_request_new(method);
}

void ask_put_text(hmq_request *r, const char *name, const char *text)
{
    if (text)
        hmq_request_put_text(r, name, text);
}

void ask_put_number(hmq_request *r, const char *name, int64_t n)
{
    if (n >= 0)
        hmq_request_put_int(r, name, n);
}

enum hmq_status ask_end(hmq_client *c, hmq_request *r, int64_t timeout_ms, hmq_reply **ret_reply, hmq_error *err)
{
    enum hmq_status status = r ? hmq_call(c, r, timeout_ms, ret_reply, err) : error_plain(err, HMQ_ENOMEM);
    hmq_request_free(r);
    return status;
}

enum hmq_status ask_count(hmq_client *c, hmq_request *r, int64_t timeout_ms, uint64_t *ret_count, hmq_error *err)
{
    hmq_reply *reply = NULL;
    enum hmq_status status = ask_end(c, r, timeout_ms, &reply, err);
    if (status == HMQ_OK && ret_count)
        *ret_count = reply_uint(reply);
    hmq_reply_free(reply);
    return status;
}

enum hmq_status ask_page(hmq_client *c, hmq_request *r, char *cursor, int64_t timeout_ms, hmq_reply **ret_page,
                         hmq_error *err)
{
    hmq_reply *reply = NULL;
    if (cursor && *cursor)
        hmq_request_put_text(r, "cursor", cursor);
    if (r)
        hmq_request_repeatable(r);
    enum hmq_status status = ask_end(c, r, timeout_ms, &reply, err);
    if (status != HMQ_OK)
        return status;
    const char *next = hmq_reply_text(hmq_reply_at(reply, 0));
    if (!next || strlen(next) >= HMQ_CURSOR_SIZE || hmq_reply_type(hmq_reply_at(reply, 1)) != HMQ_LIST) {
        hmq_reply_free(reply);
        return error_set(err, HMQ_EPROTO, "the broker's reply is not a page of a list");
    }
    if (cursor)
        snprintf(cursor, HMQ_CURSOR_SIZE, "%s", strcmp(next, "0") == 0 ? "" : next);
    *ret_page = reply;
    return HMQ_OK;
}

enum hmq_status ask_place(const hmq_position *p, char text[PLACE_TEXT_SIZE], hmq_error *err)
{
    if (!p)
        return error_set(err, HMQ_EINVAL, "the position is NULL");
    switch (p->place) {
    case HMQ_AT_EARLIEST: snprintf(text, PLACE_TEXT_SIZE, "earliest"); return HMQ_OK;
    case HMQ_AT_LATEST: snprintf(text, PLACE_TEXT_SIZE, "latest"); return HMQ_OK;
    case HMQ_AT_TIME: snprintf(text, PLACE_TEXT_SIZE, "@%" PRId64, p->time_ms); break;
    case HMQ_AT_OFFSET: snprintf(text, PLACE_TEXT_SIZE, "%" PRIu64, p->offset); break;
    case HMQ_BEFORE_END: snprintf(text, PLACE_TEXT_SIZE, "-%" PRIu64, p->offset); break;
    default: return error_set(err, HMQ_EINVAL, "the position is at no place that this library knows");
    }
    if (p->time_ms < 0 || p->offset > INT64_MAX)
        return error_set(err, HMQ_EINVAL, "the position has a time below 0, or an offset of 2^63 or more");
    return HMQ_OK;
}
