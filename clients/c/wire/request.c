/*
 * request.c: builds requests and encodes them; see request.h. A failure while a value is put is remembered, in
 * `invalid` or by the buffer, and reported when the request is sent.
 */
#include "clients/c/wire/request.h"

#include <stdio.h>
#include <stdlib.h>

void request_begin(struct call *call, const char *method, size_t n_pairs)
{
    rpc_put_request(&call->frame, call->id, method);
    rpc_put_list(&call->frame, 1);
    rpc_put_map(&call->frame, n_pairs);
}

enum hmq_status request_encode(const struct hmq_request *r, struct call *call, hmq_error *err)
{
    if (!r || r->invalid)
        return error_set(err, HMQ_EINVAL, "a method, name or value of the request %s is not valid",
                         r ? r->method : "(null)");
    request_begin(call, r->method, r->n_pairs);
    buf_put_slice(&call->frame, buf_slice(&r->pairs));
    call->repeat = r->repeat ? CALL_AGAIN_BUSY : CALL_ONCE;
    if (r->pairs.over || call->frame.over)
        return error_set(err, HMQ_ETOOBIG, "the request is larger than %ld bytes", REQUEST_BYTES_MAX);
    if (r->pairs.failed || call->frame.failed)
        return error_plain(err, HMQ_ENOMEM);
    return HMQ_OK;
}

void pair_text(struct buf *b, const char *name, const char *text)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_str(b, slice_str(text));
}

void pair_bin(struct buf *b, const char *name, const void *data, size_t len)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_bin(b, slice_of(data, len));
}

void pair_int(struct buf *b, const char *name, int64_t n)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_int(b, n);
}

void pair_texts(struct buf *b, const char *name, const char *const *texts, size_t n)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_list(b, n);
    for (size_t i = 0; i < n; i++)
        rpc_put_str(b, slice_str(texts[i]));
}

hmq_request *hmq_request_new(const char *method)
{
    struct hmq_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    buf_init(&r->pairs, REQUEST_BYTES_MAX);
    int n = snprintf(r->method, sizeof r->method, "%s", method ? method : "");
    r->invalid = n <= 0 || n > METHOD_BYTES_MAX;
    return r;
}

void hmq_request_free(hmq_request *r)
{
    if (!r)
        return;
    buf_free(&r->pairs);
    free(r);
}

/* Counts a pair, or finds that it cannot be put. */
static bool pair_ok(hmq_request *r, const char *name, bool valid)
{
    if (!r)
        return false;
    r->invalid = r->invalid || !name || !valid;
    r->n_pairs++;
    return !r->invalid;
}

static bool all_there(const char *const *texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        if (!texts[i])
            return false;
    return n == 0 || texts;
}

void hmq_request_put_text(hmq_request *r, const char *name, const char *text)
{
    if (pair_ok(r, name, text != NULL))
        pair_text(&r->pairs, name, text);
}

void hmq_request_put_bytes(hmq_request *r, const char *name, const void *data, size_t len)
{
    if (pair_ok(r, name, data || len == 0))
        pair_bin(&r->pairs, name, data, len);
}

void hmq_request_put_int(hmq_request *r, const char *name, int64_t value)
{
    if (pair_ok(r, name, true))
        pair_int(&r->pairs, name, value);
}

void hmq_request_put_list(hmq_request *r, const char *name, const char *const *texts, size_t n)
{
    if (pair_ok(r, name, all_there(texts, n)))
        pair_texts(&r->pairs, name, texts, n);
}

void hmq_request_put_bytes_list(hmq_request *r, const char *name, const void *const *data,
                                const size_t *lens, size_t n)
{
    if (!pair_ok(r, name, n == 0 || (data && lens)))
        return;
    rpc_put_str(&r->pairs, slice_str(name));
    rpc_put_list(&r->pairs, n);
    for (size_t i = 0; i < n; i++)
        rpc_put_bin(&r->pairs, slice_of(data[i], lens[i]));
}

void hmq_request_put_map(hmq_request *r, const char *name, const char *const *names,
                         const char *const *values, size_t n)
{
    if (!pair_ok(r, name, all_there(names, n) && all_there(values, n)))
        return;
    rpc_put_str(&r->pairs, slice_str(name));
    rpc_put_map(&r->pairs, n);
    for (size_t i = 0; i < n; i++)
        pair_text(&r->pairs, names[i], values[i]);
}

void hmq_request_repeatable(hmq_request *r)
{
    if (r)
        r->repeat = true;
}
