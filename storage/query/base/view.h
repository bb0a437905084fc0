/*
 * view.h: what the query files share: a snapshot of the store and how to read rows and records in it.
 * Nothing here touches the writer's memory, so any thread may have views.
 */
#ifndef HALFMQ_STORAGE_VIEW_H
#define HALFMQ_STORAGE_VIEW_H

#include "protocol/base/reply.h"
#include "protocol/base/text.h"
#include "protocol/record/message.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv.h"
#include "storage/disk/lost.h"
#include "storage/disk/records.h"
#include "storage/disk/rows.h"
#include "storage/query.h"

/* How far a query is that is cut into steps. */
struct steps {
    int phase;
    struct key at;     /* the row to go on with; empty: none was looked at yet */
    uint64_t n;        /* items that were counted */
    struct buf items;  /* of a list that is gathered first; ... */
    size_t put;        /* ... so much of them was written */
    size_t emitted;    /* length of the reply after the last step; ... */
    bool taken;        /* ... part of it was taken out since */
    void *own;         /* what the handler keeps; one block of memory */
};

/* A row of so many bytes takes as long as two of a few bytes. */
#define STEP_ROW_BYTES 2048

/* The row d that was read last (kept.h). */
struct view_removed {
    bool known;
    uint64_t topic, n;
    uint32_t queue;
    struct removed_row row;
};

/* The record that was read last of a queue, for a stream. What a group takes in several portions, one behind the other, is
 * mostly in few records. */
struct view_place {
    struct kv_iter *it; /* NULL: there is none */
    uint64_t topic;
    uint32_t queue;
    struct record_header h; /* count 0: it stands on none */
};

#define VIEW_PLACES 8 /* that are kept, by queue ... */
#define VIEW_PLACE_BYTES KIB(64) /* ... unless the record is larger: an iterator has it in memory */

struct view {
    struct kv *kv;
    struct kv_snap *snap;
    struct buf row;         /* bytes of the row read last */
    struct topic_row topic; /* the topic read last */
    struct view_removed removed;
    const struct access_user *user; /* the query's: shows what it may see; NULL: everything */
    struct policy policy; /* of the query at work */
    int64_t now_ms;
    enum query_step step;
    int32_t budget;      /* rows that this step may still look at; it may go a little below 0 */
    struct steps *steps; /* of a query that is cut into steps (steps.h), or NULL */
    query_clients_fn *clients; /* NULL: nothing is known of connections */
    void *clients_arg;
    size_t reply_most; /* bytes beyond which READ, FIND and the lists with a COUNT add nothing more */
    struct lost *lost; /* of the grants read last (view_lost) */
    uint32_t n_lost, lost_size;
    struct view_place places[VIEW_PLACES];
    struct record_cache *records; /* NULL: none */
};

/* Takes a row with so many bytes from the budget of the step. */
static inline void view_spend(struct view *v, size_t bytes)
{
    v->budget -= 1 + (int32_t)(bytes / STEP_ROW_BYTES);
}

/* Reads a row into v->row. ST_GONE: there is none. */
enum status view_get(struct view *v, const struct key *key) MUST_CHECK;

/* Tells that the row of that key makes no sense. Returns ST_DAMAGED. */
enum status view_damaged(struct view *v, const struct key *key);

/* An iterator over the rows with that prefix. NULL: no memory. */
struct kv_iter *view_rows(struct view *v, const struct key *prefix);

/* Reads a topic's row into v->topic. ST_GONE: there is none. */
enum status view_topic(struct view *v, struct slice name) MUST_CHECK;

/* An iterator over the records of a queue of v->topic, or of a grant's queue. NULL: no memory. */
struct kv_iter *view_log(struct view *v, uint32_t queue);
struct kv_iter *view_grant(struct view *v, const struct grant *g);

/* What is lost at offset, which is not below the floor, of a queue of v->topic: as lost_find. */
enum status view_find_lost(struct view *v, struct slice topic, uint32_t queue, uint64_t offset, uint64_t *ret_first,
                           uint64_t *ret_last) MUST_CHECK;

/* Is called where a granted message cannot be read. ST_OK: go on behind *ret_last, as what is up to there was purged
 * meanwhile, or is damaged, and added to view_lost. ST_IO, ST_NOMEM. */
enum status view_skip(struct view *v, const struct grant *g, uint64_t offset, uint64_t *ret_last) MUST_CHECK;

/* Answers that messages are damaged, and which offset is behind them. */
void view_refuse_lost(struct buf *reply, struct slice topic, uint32_t queue, uint64_t first, uint64_t last);

/* Answers that the topic or group does not exist (ST_GONE; what: "topic" or "group"), or that the store failed. */
void view_refuse(struct buf *reply, enum status s, const char *what, struct slice name);

#endif
