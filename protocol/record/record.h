/*
 * record.h: the layout of batch records, version 1. A batch record is the value of the log: what one group commit
 * brought to one queue. It is stored, synced and sent to binary clients as it is, so both sides read this file. All
 * numbers are little-endian. protocol/FORMAT.md has the golden bytes.
 *
 *   record   ┌────────────────────────── header, 48 bytes ──────────────────────────┐
 *            │ u8 version=1 │ u8 flags │ u16 0 │ u32 checksum │ u32 count │ u32 bytes │
 *            │ u64 base offset │ u64 index of its group │ i64 stored ms │ u64 seq     │
 *            ├──────────────┴─── messages, one behind the other ────────────────────┤
 *            │ message 0 │ message 1 │ ...                              (message.h)   │
 *            ├──────────────────── starts, count x u32 ──────────────────────────────┤
 *            │ where message i begins, counted from the end of the header            │
 *            └────────────────────────────────────────────────────────────────────────┘
 *   bytes    length of the messages (the starts follow them)
 *   checksum low 32 bits of XXH3-64 over everything behind the checksum field
 *   flags    RECORD_TTL: some message in it has an expiry · RECORD_TXN: some came from a transaction
 *   seq      is added to each message's seq: place within the group commit, so that (index, seq) orders messages over
 *            all queues. What the broker encodes has 0 here; a client's batch counts its messages from 0, and the
 *            header says where the batch stood
 *
 * Invariants: offsets of a record are base .. base+count-1; starts ascend; a decoder never reads past
 * the record it was given, whatever its bytes. To change the layout: a new version byte, a decoder for
 * both, a golden file in tests/golden, a line in FORMAT.md.
 */
#ifndef HALFMQ_PROTOCOL_RECORD_H
#define HALFMQ_PROTOCOL_RECORD_H

#include "protocol/record/message.h"

#define RECORD_VERSION 1
#define RECORD_HEADER_BYTES 48

enum record_flag { RECORD_TTL = 1, RECORD_TXN = 2 };

struct record_header {
    uint8_t version;
    uint8_t flags;
    uint32_t checksum;
    uint32_t count;
    uint32_t bytes;
    uint64_t base;
    uint64_t index;
    int64_t stored_ms;
    uint64_t seq; /* added to each message's own */
};

/* Begins a record in an empty buffer: reserves the header's bytes. */
void record_begin(struct buf *b);

/* Appends one message; starts collects where it begins (u32 each). stored_ms: as the header will say. */
void record_add(struct buf *b, struct buf *starts, const struct message *m, int64_t stored_ms);

/* Appends the starts and fills in the header (h->bytes, h->version and h->checksum are set here). */
void record_end(struct buf *b, const struct buf *starts, struct record_header *h);

/* The same for a record of one large message, whose body is not copied: the record is what b has afterwards, and behind
 * that the body and the starts. Both in place of record_add and record_end. */
void record_add_apart(struct buf *b, struct buf *starts, const struct message *m, int64_t stored_ms);
void record_end_apart(struct buf *b, const struct buf *starts, struct slice body, struct record_header *h);

/* Header alone, sanity of count and bytes against the length, not the checksum. ST_BAD otherwise. */
enum status record_header_read(struct slice record, struct record_header *ret_h) MUST_CHECK;

/* As record_header_read, and checks the checksum and the starts as well: for recovery, GET, and bytes that are in doubt. */
enum status record_verify(struct slice record, struct record_header *ret_h) MUST_CHECK;

/* Message i (0 <= i < h->count) of a record whose header was read. ST_BAD on damaged bytes. */
enum status record_message(struct slice record, const struct record_header *h, uint32_t i,
                           struct message *ret_m) MUST_CHECK;

/* The bytes of message i; empty where its start does not ascend or lies outside. */
struct slice record_bytes(struct slice record, const struct record_header *h, uint32_t i);

/* The checksum that the record must have, computed from its bytes. */
uint32_t record_checksum(struct slice record);

/*
 * Appends a record that holds the messages from .. from+n-1 (n >= 1) of this one: their bytes are unchanged, base and
 * starts are those of the part, the flags those of the whole. All messages: appends the record as it is stored.
 * ST_BAD: the starts are damaged, and nothing was appended.
 */
enum status record_cut(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                       struct buf *out) MUST_CHECK;

/*
 * The same with those messages alone whose bit is set, bit 0 being that of message from; there is one. In the place of each
 * of the others is an empty message, which says nothing of it (RECORD_EMPTY_BYTES): so all keep their offsets, and whoever
 * is sent a few of many messages is sent few bytes.
 *
 *   record   │ message 0 │ message 1 │ message 2 │ message 3 │        cut with bits 1001   │ message 0 │·│·│ message 3 │
 */
enum status record_cut_some(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                            const uint64_t *bits, struct buf *out) MUST_CHECK;

#define RECORD_EMPTY_BYTES 4 /* no fields, seq 0, born when it was stored, no body */

/* Bytes that these append. 0: the starts are damaged. (record_cut_size does not look.) */
size_t record_cut_some_size(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                            const uint64_t *bits);
size_t record_cut_size(struct slice record, const struct record_header *h, uint32_t from, uint32_t n);

/* Writes the header for these messages and starts, which its checksum covers: gives a batch its place in the log
 * without touching its messages. */
void record_head(const struct record_header *h, struct slice messages_and_starts,
                 uint8_t out[RECORD_HEADER_BYTES]);

#endif
