/*
 * text.h: the small words of the contract, parsed and printed: numbers, durations, times, names,
 * message ids, receipts, transaction ids and delay tokens.
 *
 *   id       topic:queue:offset              (a topic never holds ':' or '#')
 *   receipt  topic:queue:offset#attempt
 *   range    topic:queue:first-last           and with '#attempt' a receipt of all of them
 *   txid     decimal, 2^32 .. 2^63-1         token  '@' + the same
 *
 * Parsers take borrowed bytes, never read past them, and leave the result untouched on failure.
 */
#ifndef HALFMQ_PROTOCOL_TEXT_H
#define HALFMQ_PROTOCOL_TEXT_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"

#define TXID_MIN (UINT64_C(1) << 32)
#define TXID_MAX ((UINT64_C(1) << 63) - 1)

struct message_id {
    struct slice topic; /* borrowed from the text that was parsed */
    uint32_t queue;
    uint64_t offset;
    uint32_t attempt; /* 0 in an id, 1.. in a receipt */
};

/* A decimal, optional leading '-', no blanks, no leading '+'. False: not a number, or it overflows. */
bool text_int(struct slice s, int64_t *ret_v);
bool text_uint(struct slice s, uint64_t *ret_v);

/* `250` (ms), `250ms 10s 5m 2h 7d`; 0..DURATION_MS_MAX. */
bool text_duration(struct slice s, int64_t *ret_ms);

/* Unix milliseconds, or RFC 3339 (`2026-11-24T06:30:00Z`, fractions, offsets). */
bool text_time(struct slice s, int64_t *ret_ms);

/* 1..127 of A-Z a-z 0-9 . _ - %. client_may_write: '%' is refused too (the system's own names). */
bool text_name_ok(struct slice s, bool client_may_write);

/* A user's name: as a name that a client may write, in which '@' may stand, too. */
bool text_user_ok(struct slice s);

bool text_id(struct slice s, struct message_id *ret_id);      /* without '#attempt' */
bool text_receipt(struct slice s, struct message_id *ret_id); /* with it, attempt >= 1 */

/* Takes both forms: one offset (*ret_last is the same), or first-last with first <= last. A receipt names at most
 * COUNT_MAX offsets. */
bool text_id_range(struct slice s, struct message_id *ret_first, uint64_t *ret_last);
bool text_receipt_range(struct slice s, struct message_id *ret_first, uint64_t *ret_last);

bool text_txid(struct slice s, uint64_t *ret_txid);
bool text_token(struct slice s, uint64_t *ret_token);

void text_put_id(struct buf *b, struct slice topic, uint32_t queue, uint64_t offset);
void text_put_token(struct buf *b, uint64_t token);
void text_put_receipt(struct buf *b, struct slice topic, uint32_t queue, uint64_t offset,
                      uint32_t attempt);
/* A range; where last is first, the form of a single receipt. */
void text_put_receipt_range(struct buf *b, struct slice topic, uint32_t queue, uint64_t first,
                            uint64_t last, uint32_t attempt);

/* True where every byte sequence is well-formed UTF-8 (overlongs and surrogates are not). */
bool text_utf8_ok(struct slice s);

/* Makes bytes of a client safe for an error line or a log: at most max of them, bytes that are not printable as \xHH,
 * "..." where some are left out. Ends in NUL. */
void text_quote(struct slice s, size_t max, char *out, size_t out_size);

/* 64-bit hash (XXH3) used for routing keys, news and look-ups; the same on every machine. */
uint64_t text_hash(struct slice s);

/* The checksum of stored records: the low 32 bits of XXH3-64. */
uint32_t text_checksum(struct slice s);

/* The checksum of a and b as if they were one piece; and of n parts. */
uint32_t text_checksum2(struct slice a, struct slice b);
uint32_t text_checksum_parts(const struct slice *parts, size_t n);

#endif
