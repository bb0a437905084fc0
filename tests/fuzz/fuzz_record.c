/*
 * fuzz_record.c: decodes any bytes as a stored record, and as a single message.
 *
 * Nothing may be read outside the input. In addition: record_header_read accepts what record_verify accepts; a
 * message that was decoded and encoded again decodes to the same message; each part of a valid record is a
 * valid record; in a batch that is accepted, all messages can be decoded.
 */
#include "protocol/record/batch.h"
#include "protocol/record/record.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void walk_props(const struct message *m)
{
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    uint32_t n = 0;
    while (message_prop(&c, &name, &value))
        n++;
    require(!c.bad && n == m->n_props);
}

static void encode_again(const struct message *m, int64_t stored_ms)
{
    struct buf b;
    struct message again;
    buf_init(&b, 0);
    message_encode(&b, m, stored_ms);
    require(!b.failed && message_decode(buf_slice(&b), stored_ms, &again) == ST_OK);
    require(again.fields == m->fields && again.seq == m->seq && again.born_ms == m->born_ms);
    require(again.expires_ms == m->expires_ms && again.txid == m->txid &&
            again.attempts == m->attempts);
    require(again.n_keys == m->n_keys && again.n_props == m->n_props &&
            again.priority == m->priority);
    require(slice_equal(again.props, m->props) && slice_equal(again.body, m->body));
    require(slice_equal(again.origin, m->origin) && slice_equal(again.reason, m->reason));
    buf_free(&b);
}

static void read_record(struct slice input)
{
    struct record_header h, verified;
    enum status whole = record_verify(input, &verified);
    if (record_header_read(input, &h) != ST_OK) {
        require(whole != ST_OK);
        return;
    }
    for (uint32_t i = 0; i < h.count; i++) {
        struct message m;
        if (record_message(input, &h, i, &m) != ST_OK)
            continue;
        walk_props(&m);
        encode_again(&m, h.stored_ms);
    }
}

/* Cuts a part out of the record; the input says which. */
static void cut_record(struct slice input)
{
    struct record_header h, part;
    if (record_header_read(input, &h) != ST_OK)
        return;
    uint32_t from = h.checksum % h.count, n = 1 + (h.checksum >> 16) % (h.count - from);
    struct buf out;
    buf_init(&out, 0);
    enum status cut = record_cut(input, &h, from, n, &out);
    require(cut == ST_OK || out.len == 0);
    if (record_verify(input, &part) == ST_OK) {
        require(cut == ST_OK && record_verify(buf_slice(&out), &part) == ST_OK);
        require(part.base == h.base + from && part.count == n);
        require(out.len == record_cut_size(input, &h, from, n));
    }
    buf_reset(&out, KIB(64));
    const uint64_t bits[1] = {h.index | 1};
    n = n < 64 ? n : 64;
    cut = record_cut_some(input, &h, from, n, bits, &out);
    require(cut == ST_OK || out.len == 0);
    require(out.len == record_cut_some_size(input, &h, from, n, bits));
    if (record_verify(input, &part) == ST_OK)
        require(cut == ST_OK && record_verify(buf_slice(&out), &part) == ST_OK && part.count == n);
    buf_free(&out);
}

static void check_batch(struct slice input)
{
    struct batch_facts facts;
    struct record_header h;
    struct message m;
    char err[200] = "";
    if (batch_check(input, &facts, err, sizeof err) != ST_OK) {
        require(err[0] != '\0');
        return;
    }
    require(record_header_read(input, &h) == ST_OK && h.count == facts.count);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < h.count; i++) {
        require(record_message(input, &h, i, &m) == ST_OK && m.seq == i);
        require((m.fields & ~facts.fields) == 0 && m.body.len <= facts.body_most);
        bytes += m.body.len;
    }
    require(bytes == facts.body_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    read_record(slice_of(data, size));
    cut_record(slice_of(data, size));
    check_batch(slice_of(data, size));
    if (message_decode(slice_of(data, size), 1795501800000, &m) == ST_OK) {
        walk_props(&m);
        encode_again(&m, 1795501800000);
    }
    return 0;
}
