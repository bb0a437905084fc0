/*
 * query.h: reading. Answers come from a *view*: one consistent, durable state of the store, as of a
 * group's end. Any thread; a view belongs to the thread that opened it and is closed soon (it pins
 * what it sees).
 */
#ifndef HALFMQ_STORAGE_QUERY_H
#define HALFMQ_STORAGE_QUERY_H

#include "protocol/command/command.h"
#include "protocol/record/record.h"
#include "storage/disk/news.h"
#include "storage/outcome.h"
#include "storage/store.h"

struct view;

struct view *view_open(struct store *s); /* NULL: no memory */
void view_close(struct view *v);

/* With `nothing`: the caller may park on news_key until key is touched. */
struct query_hint {
    bool nothing;
    uint64_t key;
};

/* Answers one QUERY command: fills reply with tokens. now_ms: for what expires by time. */
void query_run(struct view *v, const struct policy *policy, int64_t now_ms, const struct command *cmd,
               struct buf *reply, struct query_hint *ret_hint);

/* Reads what POP was granted and writes the array of messages, oldest first. A message that is gone
 * meanwhile (purged) is left out. *ret_n, *ret_bytes: messages and body bytes (may be NULL). */
void query_grants(struct view *v, struct slice group, const struct outcome *out, struct buf *reply,
                  uint64_t *ret_n, uint64_t *ret_bytes);

/* Part of a stored record, as a stream hands it out: messages from .. from+n-1 of it. Borrowed, good until
 * the callback returns. */
struct part {
    struct slice record;
    const struct record_header *h;
    uint32_t from, n;
    const struct grant *grant; /* NULL: a plain read */
    const uint64_t *bits;      /* which of the n were granted; NULL: all */
    uint32_t n_granted;
};

#define PART_BYTES_MAX MIB(1) /* one part, unless a single message is larger */

/* Takes a part; false: enough. */
typedef bool part_fn(void *arg, const struct part *p);

/* The records of what was granted, part by part, queue by queue; what is gone meanwhile (purged) is left
 * out. ST_IO, ST_NOMEM: parts may be missing. */
enum status query_grant_parts(struct view *v, const struct outcome *out, part_fn *fn, void *arg) MUST_CHECK;

/* Where a plain read of a queue stands. */
struct reader {
    struct slice topic;
    uint64_t topic_id; /* 0: not looked at yet */
    uint32_t queue;
    uint64_t next;
};

/* Looks whether it can be read. ST_NOTOPIC: there is none, or another one than before; ST_ERR: no such
 * queue; ST_IO. */
enum status reader_open(struct reader *r, struct view *v) MUST_CHECK;

/* Records from r->next on, in parts, until fn has enough or there are no more (*ret_end). r->next moves behind
 * each part that was handed out. Fails as reader_open does. */
enum status reader_parts(struct reader *r, struct view *v, part_fn *fn, void *arg, bool *ret_end) MUST_CHECK;

/* Calls found for each producer group that has a check-back due, until it says false. The name is
 * good during the call. Costs a look a group, not a transaction. */
enum status query_due_pgroups(struct view *v, int64_t now_ms,
                              bool (*found)(void *arg, struct slice pgroup), void *arg) MUST_CHECK;

/* A producer group whose members are asked by HTTP; slices are good during the call. secret is empty
 * where none is set. */
struct pgroup_hook {
    struct slice pgroup, url, secret;
};

/* Calls fn for each producer group that has a CHECKURL, by name. To be asked at the start, and again after
 * a group whose effects say pgroups_changed. */
enum status query_pgroup_hooks(struct view *v, void (*fn)(void *arg, const struct pgroup_hook *hook),
                               void *arg) MUST_CHECK;

/* Live copies: where a follower of a topic stands. Starts at the ends; survives deletion. */
struct follower {
    uint64_t topic_id; /* 0: the topic was not there */
    uint32_t n_queues;
    uint64_t *next;
};

enum status follower_init(struct follower *f, struct view *v, struct slice topic) MUST_CHECK;
void follower_fini(struct follower *f);

/* Calls fn for each message that came since, at most max_bytes of bodies a call; true: there is more. */
bool follower_read(struct follower *f, struct view *v, struct slice topic, size_t max_bytes,
                   void (*fn)(void *arg, struct slice body), void *arg);

#endif
