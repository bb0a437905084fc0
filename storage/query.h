/*
 * query.h: reading. A query is answered from a *view*: a snapshot of the store at the end of a group, which is
 * consistent and durable. Any thread may open views; a view belongs to the thread that opened it, and should be
 * closed soon, because RocksDB keeps all that it sees.
 */
#ifndef HALFMQ_STORAGE_QUERY_H
#define HALFMQ_STORAGE_QUERY_H

#include "protocol/command/command.h"
#include "protocol/record/check_object.h"
#include "protocol/record/record.h"
#include "storage/disk/news.h"
#include "storage/outcome.h"
#include "storage/store.h"

struct view;

struct view *view_open(struct store *s); /* NULL: no memory */
void view_close(struct view *v);

/* READ, FIND, POP and the lists that have a COUNT end their replies after so many bytes, and one message more
 * (REPLY_BYTES_SOFT, if this is not called, and at most). */
void view_limit_replies(struct view *v, size_t most);

/* A connection that consumes. The query has its id; the rest is for whoever knows it to fill in. */
#define QUERY_CLIENTS_MAX 100
struct query_client {
    uint64_t id;
    bool there;       /* it is connected */
    char name[65];    /* "": it has none */
    int64_t seen_ms;  /* when its last request about messages came */
};

/* From now on GROUP INFO in this view asks fn about connections, QUERY_CLIENTS_MAX at most at a time. Without it nothing is
 * known of them. */
typedef void query_clients_fn(void *arg, struct query_client *clients, uint32_t n);
void view_ask_clients(struct view *v, query_clients_fn *fn, void *arg);

/* With `nothing` set the caller may wait until news name key, and ask again; with `fixed`, from the offset `at` on, as what
 * the end was has been found out. cut: the reply ended for its bytes. */
struct query_hint {
    bool nothing, cut, fixed;
    uint64_t key, at;
};

/*
 * A query that may look through many rows (LAG, FIND, the lists) works in steps of some milliseconds, so that no thread has to
 * do it in one go:
 *
 *   query_run ──► QUERY_DONE
 *             └─► QUERY_MORE ──► query_go_on ──► QUERY_MORE ──► ... ──► QUERY_DONE
 *
 * Between two steps the thread does other work. The view stays open until the end, and is used for nothing else, so the
 * answer is as of one moment; cmd and the bytes that it points to stay as they are. To give a query up, close its view.
 * A step only appends tokens to the reply, whole messages, so what is in it may be sent and taken out between two steps.
 */
enum query_step {
    QUERY_DONE,
    QUERY_MORE,
    QUERY_BROKEN /* it failed, and part of the reply was taken out already: nothing can end it, so the connection ends */
};

/* How much a query that reads messages by their place (READ, GET) has to read for its first one, before it does: bytes of
 * its record, and of the message where it is the only one in it (else 0). Both are 0 where there is none, or where it is
 * another query. It costs a small row. */
struct query_weight {
    size_t record, message;
};
struct query_weight query_weigh(struct view *v, const struct command *cmd);

/* The same for the first message of a grant, and for the next one of a reader. */
struct query_weight query_weigh_grant(struct view *v, const struct grant *g);
struct reader;
struct query_weight query_weigh_reader(struct view *v, const struct reader *r);

/* Answers one QUERY command, or begins to: fills reply with tokens. now_ms decides what has expired. */
enum query_step query_run(struct view *v, const struct policy *policy, int64_t now_ms, const struct command *cmd,
                          struct buf *reply, struct query_hint *ret_hint);

/* The next step of the query that was begun last in this view. reply: as the last step left it, or less. The hint counts
 * that came with QUERY_DONE. */
enum query_step query_go_on(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *ret_hint);

/* Bytes that a query which is not finished keeps beside its reply: what FIND and the lists with a COUNT have found. */
size_t view_held(const struct view *v);

/* All steps at once, for who can wait. */
void query_all(struct view *v, const struct policy *policy, int64_t now_ms, const struct command *cmd,
               struct buf *reply, struct query_hint *ret_hint);

/* Granted messages that are damaged: they were left out, and the group should go on behind them. */
struct lost {
    const struct grant *grant;
    uint64_t first, last;
};

/* Those of the grants that were read last in this view. Borrowed: good until the next ones are read. */
uint32_t view_lost(const struct view *v, const struct lost **ret_lost);

/* How much of what a POP was granted is in a reply: so many messages, with so many bytes of bodies. The rest begins at
 * an offset of a grant; there is none where grant is n_grants. */
struct granted {
    uint64_t n, bytes;
    uint32_t grant;
    uint64_t offset;
};

/* Reads what POP was granted and writes the array of messages, oldest first, up to the limit of the view's replies. A
 * message that was purged meanwhile is left out, and so is a damaged one (view_lost). After an error, *ret_done says
 * that all is left. */
void query_grants(struct view *v, struct slice group, const struct outcome *out, struct buf *reply,
                  struct granted *ret_done);

/*
 * The object of a check-back of a long transaction, for which CHECKS answers a note (protocol/record/check_object.h): its
 * head, and then its messages, one a call. Whoever reads gives others a turn now and then, and comes back with the same view.
 * ST_GONE, of the first call: the transaction was decided meanwhile. ST_DAMAGED, which was told, ST_IO, ST_NOMEM.
 */
struct check_reader {
    uint64_t txid;
    uint32_t n, at; /* its messages; the next one */
};

/* ret_head: with the newest attempt; its slice is good until the view reads again. */
enum status query_check_begin(struct view *v, uint64_t txid, struct check_reader *ret_r,
                              struct check_head *ret_head) MUST_CHECK;

/* Appends the next message; to be called while r->at < r->n. */
enum status query_check_next(struct view *v, struct check_reader *r, struct buf *reply) MUST_CHECK;

/*
 * Looks through the messages that groups with a FILTER WHERE have not got yet, for a POP or TAKE (sift.h): from each
 * cursor on, until as many match as are asked for, SIFT_MESSAGES_MAX were looked at, or there are no more. It works in
 * steps of about a millisecond, each with a view of its own; cmd and `asked` stay as they are meanwhile. asked: what an
 * outcome with sift has in its text, or empty. Damaged messages count as if they matched, so that POP meets them as it
 * does in other groups.
 */
struct sifter;
struct sifter *sifter_new(const struct command *cmd, struct slice asked); /* NULL: no memory */
void sifter_free(struct sifter *s);
void sifter_want_more(struct sifter *s, const struct command *cmd); /* as many as another POP of the same asks for, too */

/* ST_OK: it is done; ST_BUSY: go on with another step. ST_IO, ST_NOMEM, ST_DAMAGED: it found out less than it could. */
enum status sifter_step(struct sifter *s, struct view *v) MUST_CHECK;

/* What it found out; good until sifter_free. */
struct slice sifter_found(const struct sifter *s);
bool sifter_saw_all(const struct sifter *s); /* up to the end of each queue */
bool sifter_filters(const struct sifter *s); /* some topic's group has a FILTER WHERE */

/*
 * Finds groups with a FILTER that can go on without a POP: messages behind their cursors do not match. It looks at all
 * groups in turn, in steps of some milliseconds, each with a view of its own, and names one group at a time:
 *
 *   advance_step ──► ST_BUSY   nothing so far: go on
 *                ──► ST_OK     ret->group can go on: submit an ADVANCE with ret->sifted; then go on
 *                ──► ST_GONE   that was the last group; the next step begins with the first one
 *
 * Each queue of a group goes on as far as its first message that matches, so what is to be delivered stays where it is. A
 * group is left alone while fewer than `least` messages are behind its cursors: its POP passes these in no time.
 */
struct advance;
struct advance *advance_new(uint64_t least); /* NULL: no memory */
void advance_free(struct advance *a);

/* Is the group on this topic to be looked at in this round? */
typedef bool advance_due_fn(void *arg, struct slice group, struct slice topic);

/* Good until the next step. */
struct advance_found {
    struct slice group, topic;
    struct slice sifted; /* for command.sifted */
    bool more;           /* its messages were not all looked at in this step: it is due again */
};

/* ST_NOMEM, and what ST_BUSY, ST_OK and ST_GONE mean above. A group that cannot be read is passed over. now_ms: what has
 * expired by then is passed, too. */
enum status advance_step(struct advance *a, struct view *v, int64_t now_ms, advance_due_fn *due, void *arg,
                         struct advance_found *ret) MUST_CHECK;

/* Groups with a FILTER that the last round has met, due or not. */
uint32_t advance_filtered(const struct advance *a);

/* Part of a stored record, as a stream sends it: messages from .. from+n-1 of it. Borrowed: good until the callback
 * returns. */
struct part {
    struct slice record;
    const struct record_header *h;
    uint32_t from, n;
    const struct grant *grant; /* NULL: a plain read */
    const uint64_t *bits;      /* which of the n were granted; NULL: all */
    uint32_t n_granted;
};

#define PART_BYTES_MAX MIB(1) /* one part, or as many as a reply may have (view_limit_replies); or one larger message */

/* Is given a part, and takes it. Returns false when it wants no more. */
typedef bool part_fn(void *arg, const struct part *p);

/* Records that were read for streams, kept from one view to the next: for those of one thread (record_cache.h). All NULL:
 * nothing is kept. */
struct record_cache;
struct record_cache *record_cache_new(void); /* NULL: no memory */
void record_cache_free(struct record_cache *c);
void record_cache_empty(struct record_cache *c); /* gives back its memory */
void view_keep_records(struct view *v, struct record_cache *c); /* it outlives the view */

/* Calls fn with the granted messages, part by part, queue by queue, until it returns false. What was purged meanwhile is
 * left out, and so is what is damaged (view_lost). *ret_done: where the rest begins; its n and bytes are 0. ST_IO,
 * ST_NOMEM: parts may be missing. */
enum status query_grant_parts(struct view *v, const struct outcome *out, part_fn *fn, void *arg,
                              struct granted *ret_done) MUST_CHECK;

/* The position of a plain read of a queue. */
struct reader {
    struct slice topic;
    uint64_t topic_id; /* 0: not looked at yet */
    uint32_t queue;
    uint64_t next;
};

/* Moves it to a position in its queue. Open it first, in the same view. ST_IO, ST_NOMEM, ST_DAMAGED. */
struct position;
enum status reader_seek(struct reader *r, struct view *v, const struct position *p) MUST_CHECK;

/* Checks that the queue can be read. ST_NOTOPIC: the topic does not exist, or was made again since; ST_ERR: it has no
 * such queue; ST_IO. */
enum status reader_open(struct reader *r, struct view *v) MUST_CHECK;

/* Calls fn with records from r->next on, in parts, until fn returns false or there are no more (*ret_end). r->next
 * moves behind each part, and behind what is damaged. Fails as reader_open does. */
enum status reader_parts(struct reader *r, struct view *v, part_fn *fn, void *arg, bool *ret_end) MUST_CHECK;

/* How far a walk over the producer groups is. All zero: it has not begun. */
struct due_walk {
    uint8_t next[128]; /* of the next group, the name or what it begins with */
    size_t len;
    bool ended;
};
static_assert(NAME_BYTES_MAX + 1 <= 128, "");

/* Looks at the next groups that have transactions, at most so many, and calls found for each that has a check-back due.
 * The name is good during the call. The cost grows with the number of groups, not of transactions: some microseconds
 * each. walk->ended: there are no more. */
enum status query_due_pgroups(struct view *v, int64_t now_ms, uint32_t most, struct due_walk *walk,
                              void (*found)(void *arg, struct slice pgroup), void *arg) MUST_CHECK;

/* A producer group whose members are asked by HTTP; slices are good during the call. secret is empty
 * where none is set. */
struct pgroup_hook {
    struct slice pgroup, url, secret;
};

/* Calls fn for each producer group that has a CHECKURL, by name. Ask at the start, and again after a group whose
 * effects have pgroups_changed set. ST_DAMAGED: those whose rows cannot be read are missing. */
enum status query_pgroup_hooks(struct view *v, void (*fn)(void *arg, const struct pgroup_hook *hook),
                               void *arg) MUST_CHECK;

/* Reads all users. Ask at the start, and again after a group whose effects have users_changed set; the caller holds them
 * (storage/access/users.h). A damaged row is a user that may do nothing. ST_IO, ST_NOMEM, ST_DAMAGED: some cannot be read. */
struct users;
enum status query_users(struct view *v, struct users **ret_users) MUST_CHECK;

/* The position of a subscriber of live copies in a topic. It starts at the ends of the queues. If the topic is deleted
 * and made again, it starts at the first offsets of the new one. */
struct follower {
    uint64_t topic_id; /* 0: the topic was not there */
    uint32_t n_queues;
    uint64_t *next;
};

enum status follower_init(struct follower *f, struct view *v, struct slice topic) MUST_CHECK;
void follower_fini(struct follower *f);

/* Calls fn for each message that was stored since the last call, for at most max_bytes of bodies, or until it returns
 * false: the same message is the first one of the next call then. True: there is more. */
bool follower_read(struct follower *f, struct view *v, struct slice topic, size_t max_bytes,
                   bool (*fn)(void *arg, struct slice body), void *arg);

#endif
