/*
 * limits.h: every bound that a client can meet, tied to one another by static_assert.
 * What is a setting (max_message_bytes, memory, max_connections) has its default and its ceiling here.
 */
#ifndef HALFMQ_PROTOCOL_LIMITS_H
#define HALFMQ_PROTOCOL_LIMITS_H

#include <assert.h>

#define KIB(n) ((n) * 1024L)
#define MIB(n) ((n) * 1024L * 1024L)

#define NAME_BYTES_MAX 127          /* topic, group, producer group, tag */
#define SYSTEM_NAME_BYTES_MAX (NAME_BYTES_MAX + 7) /* %RETRY%<group>, the longest */
#define KEY_BYTES_MAX 255           /* KEY, ORDER, DEDUP values; property names */
#define KEYS_MAX 16                 /* KEYs a message */
#define PROPS_MAX 256               /* properties a message */
#define PROPS_BYTES_MAX KIB(32)     /* names and values of all properties of a message */
#define REASON_BYTES_MAX 1024       /* NACK ... REASON */
#define BODY_BYTES_DEFAULT MIB(4)   /* setting max_message_bytes */
#define BODY_BYTES_CEILING MIB(32)
#define MESSAGE_OVERHEAD_MAX KIB(48) /* what a stored message adds to its body */
#define REQUEST_BYTES_MAX MIB(64)   /* one request, all its words together */
#define REQUEST_WORDS_MAX 65536     /* words of one request */
#define INLINE_BYTES_MAX KIB(64)    /* an inline line; quotes and all */
#define RPC_DEPTH_MAX 16            /* nesting of a MessagePack-RPC frame */
#define QUEUES_DEFAULT 4
#define QUEUES_MAX 1024             /* queues a topic */
#define COUNT_MAX 1000              /* most messages in one reply of POP or READ */
#define MULTI_COMMANDS_MAX 1000     /* commands of one MULTI ... */
#define MULTI_BYTES_MAX MIB(8)      /* ... and bytes of their words */
#define LIST_COUNT_DEFAULT 100
#define LIST_COUNT_MAX 10000
#define MSEND_BODIES_MAX 10000
#define BATCH_COUNT_MAX 10000       /* messages that one PRODUCE brings ... */
#define BATCH_BYTES_MAX MIB(8)      /* ... and bytes of the record they come in */
#define TXN_MESSAGES_MAX 1000       /* messages a transaction */
#define URL_BYTES_MAX 2048          /* CHECKURL */
#define SECRET_BYTES_MAX 256
#define TXN_BYTES_MAX MIB(32)       /* bodies and attributes of a transaction */
#define RECORD_BYTES_MAX KIB(64)    /* a batch record is closed at this size, and a message that is as large has
                                       one of its own: a POP of a few messages reads one record, so records stay small */
#define RECORD_COUNT_MAX 65535
#define REPLY_BYTES_MAX MIB(128)    /* one reply */
#define REPLY_BYTES_SOFT MIB(2)     /* POP and READ add no more messages to a reply of this size */
#define DURATION_MS_MAX (366LL * 24 * 3600 * 1000)
#define TOPICS_MAX 100000
#define GROUPS_MAX 100000           /* (group, topic) pairs */
#define TOPICS_RESERVE (2 * GROUPS_MAX) /* topics for dead letters and redriven ones beyond TOPICS_MAX: two a group */
#define PGROUPS_MAX 100000          /* producer groups with settings of their own */
#define LEASES_MAX 16384            /* runs that a group has leased on a topic: neighbouring messages of a queue that one
                                       POP took are one. From here on POP answers BUSY. One POP may add COUNT_MAX more, and
                                       NACK and EXTEND of a part, which cut a run, go on to twice as many: so to load a
                                       group reads 2 x 16384 rows of 60 bytes at most, which takes less than 20 ms */
#define ORDERED_HELD_MAX 65536      /* messages that an ORDERED group has leased or waiting for a retry on a topic, and ... */
#define ORDERED_SKIPPED_MAX 65536   /* ... those that it has passed over, as their keys are held; each queue has a part of */
#define ORDERED_SKIPPED_MIN 1024    /* that, at least so many. Beyond either no fresh message of the queue is looked at */
#define ACK_MESSAGES_MAX 1000000    /* messages that the receipts of one ACK may name */
#define ATTEMPTS_DEFAULT 16
#define ATTEMPTS_MAX 10000
#define LEASE_MS_DEFAULT 30000
#define BACKOFF_STEPS_MAX 32
#define FILTER_BYTES_MAX 4096       /* the tags or the expression of a FILTER */
#define USERS_MAX 1000              /* users beside `default` */
#define USER_PATTERNS_MAX 64        /* patterns of a user, of topics, of groups and of producer groups each */
#define USER_PASSWORDS_MAX 8
#define PASSWORD_BYTES_MAX 512
#define PASSWORD_HASH_BYTES_MAX 200 /* as it is stored */
#define USER_BOUND_MAX 1000000000000000LL /* conns, rate, bytes */

#define PORT_DEFAULT 4253
#define HTTP_PORT_DEFAULT 4280

static_assert(BODY_BYTES_DEFAULT <= BODY_BYTES_CEILING, "the default is allowed");
static_assert(BODY_BYTES_CEILING + MESSAGE_OVERHEAD_MAX < REQUEST_BYTES_MAX, "a message fits a request");
static_assert(PROPS_BYTES_MAX + KEYS_MAX * KEY_BYTES_MAX + 4 * NAME_BYTES_MAX < MESSAGE_OVERHEAD_MAX,
              "a message's attributes fit its overhead");
static_assert(BODY_BYTES_CEILING + 2 * RECORD_BYTES_MAX + REPLY_BYTES_SOFT < REPLY_BYTES_MAX,
              "what POP delivers fits a reply");
static_assert(MSEND_BODIES_MAX <= RECORD_COUNT_MAX && MSEND_BODIES_MAX + 2 <= REQUEST_WORDS_MAX, "");
static_assert(BATCH_COUNT_MAX <= RECORD_COUNT_MAX && BATCH_BYTES_MAX < REQUEST_BYTES_MAX, "");
static_assert(TXN_BYTES_MAX < REQUEST_BYTES_MAX, "");
static_assert(BODY_BYTES_DEFAULT < MULTI_BYTES_MAX, "a message fits a MULTI");

#endif
