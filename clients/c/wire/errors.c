/*
 * errors.c: every way a call can end, in one table; see errors.h.
 *
 * To add a code of the broker: a line in protocol/status.def, one in halfmq.h, one here (the
 * assertion below fails until the last is done).
 */
#include "clients/c/wire/errors.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "halfmq_version.h"

struct error_line {
    const char *name;
    const char *text;
    enum status wire; /* ST_OK: the client's own */
    int retryable;
    bool early; /* the broker answers so before it looks whether it did the same request before */
};

#define LINE(name, wire, retry, text) [HMQ_##name] = {"HMQ_" #name, text, ST_##wire, retry, false}
#define EARLY(name, wire, retry, text) [HMQ_##name] = {"HMQ_" #name, text, ST_##wire, retry, true}

static const struct error_line lines[] = {
    LINE(OK, OK, 0, "done"),
    LINE(EINVAL, OK, 0, "an argument or option is wrong"),
    LINE(ENOMEM, OK, 1, "out of memory, nothing was done"),
    LINE(ETIMEDOUT, OK, 1, "the deadline passed before the request was sent, nothing was done"),
    LINE(EDISCONNECTED, OK, 1, "there is no connection to the broker, nothing was done"),
    LINE(EUNKNOWN, OK, 0, "the request was sent but its reply is lost: it may have been done"),
    LINE(EAGAIN, OK, 1, "a limit of this client is reached, nothing was done: try again later"),
    LINE(EWOULDBLOCK, OK, 0, "a blocking call is not possible on this thread"),
    LINE(ECLOSED, OK, 0, "the object is being closed, nothing was done"),
    LINE(EPROTO, OK, 0, "the broker's reply is not valid"),
    LINE(ESYSTEM, OK, 0, "the operating system refused a call"),
    LINE(EINTERRUPTED, OK, 1, "the wait was interrupted"),
    LINE(EREFUSED, ERR, 0, "the broker refused the request"),
    LINE(ENOTOPIC, NOTOPIC, 0, "no such topic"),
    LINE(ENOGROUP, NOGROUP, 0, "no such group"),
    LINE(ENOTXN, NOTXN, 0, "no such transaction"),
    LINE(ETXNCONFLICT, TXNCONFLICT, 0, "the transaction was decided the other way"),
    LINE(ESTALE, STALE, 0, "the receipt is stale: its lease expired, or the message was acknowledged or requeued"),
    LINE(ETOOBIG, TOOBIG, 0, "too many bytes"),
    LINE(EBADNAME, BADNAME, 0, "the name is not valid"),
    LINE(EEXISTS, EXISTS, 0, "it exists already"),
    EARLY(EBUSY, BUSY, 1, "a limit of the broker is reached for now, nothing was done: try again later"),
    EARLY(EDISKFULL, DISKFULL, 1, "the broker's disk is full, nothing was done"),
    EARLY(EREADONLY, READONLY, 1, "the broker accepts no writes now"),
    EARLY(ELIMIT, LIMIT, 0, "a limit of the broker is reached, nothing was done"),
    EARLY(ENOAUTH, NOAUTH, 0, "authentication is required: set the options user and password"),
    EARLY(EWRONGPASS, WRONGPASS, 0, "user name or password is wrong"),
    EARLY(ENOPERM, NOPERM, 0, "not permitted"),
    LINE(ENOPROTO, NOPROTO, 0, "unsupported protocol version"),
    EARLY(ENOTLEADER, NOTLEADER, 1, "another broker is the leader"),
    LINE(EDAMAGED, DAMAGED, 0, "stored bytes are damaged, on the broker's disk"),
};

#define N_LINES (sizeof lines / sizeof *lines)
static_assert(N_LINES == HMQ_EDAMAGED + 1, "the last status has a line");
static_assert(HMQ_EDAMAGED - HMQ_EREFUSED == ST_DAMAGED - ST_ERR,
              "each code of the broker has one");

static const struct error_line *error_line_of(enum hmq_status status)
{
    size_t i = (size_t)status;
    return i < N_LINES && lines[i].name ? &lines[i] : NULL;
}

const char *hmq_strerror(enum hmq_status status)
{
    const struct error_line *line = error_line_of(status);
    return line ? line->text : "no such status";
}

const char *hmq_status_name(enum hmq_status status)
{
    const struct error_line *line = error_line_of(status);
    return line ? line->name : "HMQ_?";
}

int hmq_status_retryable(enum hmq_status status)
{
    const struct error_line *line = error_line_of(status);
    return line ? line->retryable : 0;
}

bool error_says_nothing_of_earlier(enum hmq_status status)
{
    const struct error_line *line = error_line_of(status);
    return line && line->early;
}

const char *hmq_version(void)
{
    return HALFMQ_VERSION;
}

int hmq_version_number(void)
{
    return HMQ_VERSION_NUMBER;
}

enum hmq_status error_from_code(struct slice code)
{
    enum status wire = status_from_code((const char *)code.data, code.len);
    for (size_t i = HMQ_EREFUSED; i < N_LINES; i++)
        if (lines[i].wire == wire)
            return (enum hmq_status)i;
    return HMQ_EREFUSED;
}

enum hmq_status error_set(hmq_error *err, enum hmq_status status, const char *fmt, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, fmt);
    err->code = status;
    if (vsnprintf(err->text, sizeof err->text, fmt, args) < 0)
        err->text[0] = '\0';
    va_end(args);
    return status;
}

enum hmq_status error_bytes(hmq_error *err, enum hmq_status status, struct slice text)
{
    if (!err)
        return status;
    size_t n = text.len < sizeof err->text ? text.len : sizeof err->text - 1;
    for (size_t i = 0; i < n; i++)
        err->text[i] = (char)(text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : text.data[i]);
    err->text[n] = '\0';
    err->code = status;
    return status;
}

enum hmq_status error_none(hmq_error *err)
{
    if (err) {
        err->code = HMQ_OK;
        err->text[0] = '\0';
    }
    return HMQ_OK;
}

enum hmq_status error_plain(hmq_error *err, enum hmq_status status)
{
    return status == HMQ_OK ? error_none(err) : error_bytes(err, status, slice_str(hmq_strerror(status)));
}
