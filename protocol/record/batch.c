/*
 * batch.c: checks a batch in one pass: its header, then each message, which must decode up to its last byte and have
 * only fields that a producer may set (FIELDS_TAKEN). What a batch looks like is in batch.h.
 *
 * A message without attributes is not decoded but walked (batch_read_plain): where speed matters, most are like that.
 */
#include "protocol/record/batch.h"

#include <stdarg.h>
#include <stdio.h>

#include "protocol/record/record.h"
#include "protocol/base/text.h"

#define FIELDS_TAKEN (MSG_KEY | MSG_TAG | MSG_ORDER | MSG_PRIORITY | MSG_TTL | MSG_PROPS)

struct refusal {
    char *text;
    size_t size;
    uint32_t at; /* the message looked at */
};

static enum status batch_refuse(const struct refusal *r, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum status batch_refuse(const struct refusal *r, enum status s, const char *fmt, ...)
{
    char what[200];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(r->text, r->size, "message %u of the batch: %s", r->at, n < 0 ? "" : what);
    return s;
}

static enum status batch_refuse_batch(const struct refusal *r, const char *what)
{
    snprintf(r->text, r->size, "the batch is not a record: %s", what);
    return ST_ERR;
}

static enum status batch_check_header(struct slice batch, struct record_header *ret_h,
                                      const struct refusal *r)
{
    if (batch.len > BATCH_BYTES_MAX) {
        snprintf(r->text, r->size, "a batch of %zu bytes is too big: at most %ld", batch.len,
                 BATCH_BYTES_MAX);
        return ST_TOOBIG;
    }
    if (batch.len < RECORD_HEADER_BYTES)
        return batch_refuse_batch(r, "it is shorter than a header");
    struct record_header h;
    if (record_header_read(batch, &h) != ST_OK)
        return batch_refuse_batch(r, "the version, flags, count or bytes in its header are wrong");
    if (h.flags || h.base || h.index || h.stored_ms || h.seq)
        return batch_refuse_batch(r, "flags, base, index, stored and seq are set by the broker: send 0");
    if (h.count > BATCH_COUNT_MAX) {
        snprintf(r->text, r->size, "a batch of %u messages: at most %d", h.count, BATCH_COUNT_MAX);
        return ST_TOOBIG;
    }
    if (h.checksum && h.checksum != record_checksum(batch))
        return batch_refuse_batch(r, "its checksum is wrong");
    *ret_h = h;
    return ST_OK;
}

static enum status batch_check_sized(const struct refusal *r, const char *what, struct slice v)
{
    if (v.len > KEY_BYTES_MAX)
        return batch_refuse(r, ST_TOOBIG, "%s of %zu bytes is too long: at most %d", what, v.len,
                            KEY_BYTES_MAX);
    return v.len ? ST_OK : batch_refuse(r, ST_ERR, "%s is empty", what);
}

static enum status batch_check_props(const struct refusal *r, const struct message *m)
{
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    size_t total = 0;
    while (message_prop(&c, &name, &value)) {
        enum status s = batch_check_sized(r, "a property's name", name);
        if (s)
            return s;
        total += name.len + value.len;
    }
    if (total > PROPS_BYTES_MAX)
        return batch_refuse(r, ST_TOOBIG, "all properties together are %zu bytes: at most %ld", total,
                            PROPS_BYTES_MAX);
    return ST_OK;
}

/* The bounds are those of SEND's options. */
static enum status batch_check_attributes(const struct refusal *r, const struct message *m)
{
    if (m->fields & ~(uint32_t)FIELDS_TAKEN)
        return batch_refuse(r, ST_ERR, "it has a field that only the broker sets: a producer sets key, tag, "
                                 "order, priority, ttl and properties");
    enum status s = ST_OK;
    for (uint32_t i = 0; i < m->n_keys && !s; i++)
        s = batch_check_sized(r, "KEY", m->keys[i]);
    if (!s && (m->fields & MSG_ORDER))
        s = batch_check_sized(r, "ORDER", m->order);
    if (!s && (m->fields & MSG_TAG) && !text_name_ok(m->tag, true))
        s = batch_refuse(r, ST_BADNAME, "its tag is not a name: 1 to %d of A-Z a-z 0-9 . _ -",
                         NAME_BYTES_MAX);
    if (!s && (m->fields & MSG_TTL) && m->expires_ms > DURATION_MS_MAX)
        s = batch_refuse(r, ST_ERR, "its ttl is over 366 days");
    return s ? s : batch_check_props(r, m);
}

static enum status batch_check_times(const struct refusal *r, uint64_t seq, int64_t age_ms)
{
    if (seq != r->at)
        return batch_refuse(r, ST_ERR, "its seq is not its number in the batch");
    if (age_ms < 0 || age_ms > DURATION_MS_MAX)
        return batch_refuse(r, ST_ERR, "its born is not from 0 to 366 days");
    return ST_OK;
}

/* Reads a message that has no fields: 0, seq, born, body. False: it has some, or is damaged; decode it. */
static bool batch_read_plain(struct slice bytes, uint64_t *ret_seq, int64_t *ret_age, struct slice *ret_body)
{
    struct cursor c = cursor_of(bytes);
    if (cursor_u8(&c) != 0)
        return false;
    uint64_t seq = cursor_varint(&c), born = cursor_varint(&c);
    struct slice body = cursor_sized(&c);
    if (c.bad || cursor_left(&c) > 0)
        return false;
    *ret_seq = seq;
    *ret_age = born & 1 ? -1 : (int64_t)(born >> 1);
    *ret_body = body;
    return true;
}

static enum status batch_check_message(const struct refusal *r, struct slice bytes, uint32_t *ret_fields,
                                       struct slice *ret_body)
{
    uint64_t seq;
    int64_t age_ms;
    *ret_fields = 0;
    if (batch_read_plain(bytes, &seq, &age_ms, ret_body))
        return batch_check_times(r, seq, age_ms);
    struct message m;
    if (message_decode(bytes, 0, &m) != ST_OK)
        return batch_refuse(r, ST_ERR, "its bytes are not a message");
    *ret_fields = m.fields;
    *ret_body = m.body;
    enum status s = batch_check_times(r, m.seq, m.born_ms == INT64_MIN ? -1 : -m.born_ms);
    return s ? s : batch_check_attributes(r, &m);
}

enum status batch_check(struct slice batch, struct batch_facts *ret_facts, char *err, size_t err_size)
{
    struct refusal r = {err, err_size, 0};
    struct record_header h;
    enum status s = batch_check_header(batch, &h, &r);
    if (s)
        return s;
    struct batch_facts facts = {.count = h.count};
    if (record_bytes(batch, &h, 0).data != batch.data + RECORD_HEADER_BYTES)
        return batch_refuse_batch(&r, "its first message does not begin right after the header");
    for (; r.at < h.count; r.at++) {
        struct slice bytes = record_bytes(batch, &h, r.at), body = {0};
        uint32_t fields = 0;
        if (!bytes.len)
            return batch_refuse(&r, ST_ERR, "its start is not above the one before, or lies outside the messages");
        s = batch_check_message(&r, bytes, &fields, &body);
        if (s)
            return s;
        facts.fields |= fields;
        facts.body_bytes += body.len;
        if (body.len > facts.body_most)
            facts.body_most = (uint32_t)body.len;
    }
    *ret_facts = facts;
    return ST_OK;
}
