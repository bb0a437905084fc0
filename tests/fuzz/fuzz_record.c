/*
 * fuzz_record.c: any bytes as a stored record, and as a lone message.
 *
 * Nothing may be read outside the input. Beyond that: what record_verify takes is also what
 * record_header_read takes, and a message that decodes, encoded again, decodes to the same.
 */
#include "protocol/message.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    read_record(slice_of(data, size));
    if (message_decode(slice_of(data, size), 1795501800000, &m) == ST_OK) {
        walk_props(&m);
        encode_again(&m, 1795501800000);
    }
    return 0;
}
