/*
 * message.h: one message as it is stored, version 1: its bytes lie in a batch record (record.h), or alone in a
 * transaction that is still open. All numbers are little-endian; `varint` is LEB128, `sized` a varint length and so
 * many bytes.
 *
 *   message  varint fields (bits, MSG_*) │ varint seq │ varint born: zigzag(stored - born), ms
 *            then what the bits announce, in this order:
 *            KEY    varint n, n x sized      TAG   sized        ORDER  sized      PRIORITY u8
 *            TTL    varint: expires - stored, ms (an expiry is a time, fixed when it is stored)
 *            TXN    varint txid              GROUP sized        REASON sized      ORIGIN sized (id)
 *            ATTEMPTS varint                 PROPS varint n, n x (sized, sized)
 *            and last  sized body
 *   seq      place within the group commit, together with the record's own seq (record.h)
 *
 * Invariant: a decoder never reads past the bytes it was given, whatever they are. To change the layout: see record.h.
 */
#ifndef HALFMQ_PROTOCOL_MESSAGE_H
#define HALFMQ_PROTOCOL_MESSAGE_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/status.h"

enum message_field {
    MSG_KEY = 1,
    MSG_TAG = 2,
    MSG_ORDER = 4,
    MSG_PRIORITY = 8,
    MSG_TTL = 16,
    MSG_TXN = 32,
    MSG_GROUP = 64,
    MSG_REASON = 128,
    MSG_ORIGIN = 256,
    MSG_ATTEMPTS = 512,
    MSG_PROPS = 1024
};

/* A message on its way in (encode) or out (decode); all slices are borrowed. */
struct message {
    uint32_t fields; /* MSG_* */
    uint64_t seq;
    int64_t born_ms;
    int64_t expires_ms; /* MSG_TTL */
    uint64_t txid;      /* MSG_TXN */
    uint32_t attempts;  /* MSG_ATTEMPTS */
    uint8_t priority;   /* MSG_PRIORITY */
    uint32_t n_keys, n_props;
    struct slice tag, order, group, reason, origin;
    struct slice props; /* n_props x (sized name, sized value), encoded; walk with message_prop */
    struct slice body;
    struct slice keys[KEYS_MAX]; /* those behind n_keys are not set */
};

#define MESSAGE_PRIORITY_DEFAULT 4

/* The keys are most of a message and few messages have any, so the unused ones are neither cleared nor copied. */
static inline void message_clear(struct message *m) { memset(m, 0, offsetof(struct message, keys)); }

static inline void message_copy(const struct message *m, struct message *ret_m)
{
    memcpy(ret_m, m, offsetof(struct message, keys) + m->n_keys * sizeof *m->keys);
}

/* One message without a record: the form in which transactions keep their messages until they commit. born and TTL are
 * encoded relative to stored_ms. ST_BAD: damaged bytes, or some are left over. */
void message_encode(struct buf *b, const struct message *m, int64_t stored_ms);

/* The same without the body's bytes, which are the last ones. */
void message_encode_head(struct buf *b, const struct message *m, int64_t stored_ms);
enum status message_decode(struct slice bytes, int64_t stored_ms, struct message *ret_m) MUST_CHECK;

/* Steps through m->props: start with a cursor_of(m->props); false at the end. */
bool message_prop(struct cursor *c, struct slice *ret_name, struct slice *ret_value);

/* Appends the properties to a reply, as a map. */
void message_reply_props(struct buf *reply, const struct message *m);

#endif
