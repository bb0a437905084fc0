/*
 * core.h: struct state and what all files of model/ and apply/ need. Nobody outside storage/ includes it.
 *
 *   struct state ── topics by name ── queues ── tail (record of this group) ── recent (where records are)
 *        │
 *        ├─ groups on topics ("gt") by group 0 topic ── cursors ── runs (run.h)
 *        ├─ consumer groups by name (cgroup.h)     ├─ lru: what was used of late (lru.h)
 *        ├─ producer groups (settings, how much is open, what takers were told)
 *        ├─ overlay (rows of this group)      ├─ kv (the store)
 *        └─ fx, tally, meta
 *
 * What is in memory is either a copy of stored rows, read when a command first needs it, or it was changed in the
 * open group and is written with it. Between groups everything here can be read again from the store.
 */
#ifndef HALFMQ_STORAGE_CORE_H
#define HALFMQ_STORAGE_CORE_H

#include "protocol/base/hash.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"
#include "protocol/command/command.h"
#include "protocol/record/record.h"
#include "storage/disk/finder.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv.h"
#include "storage/disk/news.h"
#include "storage/disk/overlay.h"
#include "storage/disk/rows.h"
#include "storage/model/lru.h"
#include "storage/outcome.h"
#include "storage/sift.h"

#define ERR_SIZE 512

#define RECENT_RECORDS 8      /* at first ... */
#define RECENT_RECORDS_MAX 2048 /* ... and at most: more records than one group makes of a queue */

struct tail {
    struct buf record, starts;
    struct slice apart; /* the body of its only message, where that is large: it is not in `record` */
    struct buf copied;  /* struct kv_copied: bodies in `record` that the log has already */
    uint64_t base, first_seq, last_seq;
    int64_t expires_least, expires_most; /* as of its record (directory.h) */
    struct columns_maker columns;
    uint32_t count;
    uint8_t flags;
    struct topic *topic;
    uint32_t queue;
    struct tail *next; /* of the state's open or spare tails */
};

/* How many messages of each PRIORITY a queue has had since the last PURGE, as its rows F say (queue.h). */
struct queue_classes {
    uint64_t had[CLASSES_MAX];
    uint64_t last[CLASSES_MAX]; /* the base of its last row F */
    uint16_t known, some;       /* bit c: both were looked up, or are new; bit c: there is such a row */
};

struct queue {
    uint64_t floor; /* offsets below are gone */
    uint64_t end;   /* next offset, this group included */
    uint64_t total; /* bytes of the records since the last PURGE, without the tail's ... */
    uint64_t before; /* ... and of those below the floor, where the topic's kept_known */
    struct tail *tail;
    struct record_info *recent; /* ring, or NULL */
    uint32_t n_recent, recent_at, recent_size;
    struct queue_classes *classes; /* NULL: not looked up */
    uint64_t fresh_group, fresh_base; /* offsets from fresh_base on came in group fresh_group */
};

/* A key (news_key) and its place in the news of a group: `at` is good while group == state.group. */
struct news_slot {
    uint64_t key;
    uint64_t group;
    uint32_t at;
};

struct topic {
    struct hash_node node; /* first, so that a node is its topic; by the name */
    struct slice name; /* owned */
    uint64_t id;
    enum compress compress;
    uint32_t flags, n_queues, order_queues;
    uint32_t rr, rr_saved; /* where the next message without ORDER or QUEUE goes */
    int64_t created_ms;
    uint64_t delayed; /* messages that wait for their time */
    uint64_t purges;
    int64_t retention_ms; /* 0: none */
    uint64_t max_bytes;   /* 0: no limit */
    int64_t cut_ms;       /* when its row in the timer index is due; 0: none (keep.h) */
    uint64_t kept;        /* bytes of all records from the floors on, without those of tails; ... */
    bool kept_known;      /* ... counted when it is needed */
    uint64_t cuts;        /* how often floors were raised since it was loaded: gts look then */
    uint16_t classes;     /* bit c: some message has PRIORITY c; the default one has no bit */
    uint64_t removed;     /* messages above the floors that were removed one by one (removal.h) */
    bool touched;     /* its row is to be written with the group */
    bool gone;        /* deleted: it is freed with the last gt in memory that points to it */
    uint32_t n_gts;   /* in memory, on it */
    uint64_t born_group; /* the commit group that made the youngest gt on it ... */
    struct gt *born;     /* ... and, while that is open, those that it made */
    struct lru_node lru;
    struct topic *next_touched;
    struct news_slot news;
    struct queue *queues;
};

struct pgroup {
    struct hash_node node; /* first; by the name */
    struct slice name; /* owned */
    struct pgroup_row own; /* its settings, without the texts */
    struct pgroup_open_row open;
    bool touched; /* open is to be written with the group */
    struct pgroup *next_touched;
    int64_t floor_ms; /* no check row is due before this */
    int64_t armed_ms; /* when takers were told to come again; INT64_MAX: only when there is news */
    uint64_t fresh_group; /* group that put ... */
    int64_t fresh_ms;     /* ... a check row due here, and none earlier */
    struct news_slot news;
};

/* A transaction that has no rows J, K and W yet, and when it gets them. row: a copy of its row X, or NULL. */
struct young_entry {
    uint64_t txid;
    int64_t due_ms;
    uint8_t *row;
    uint32_t row_len;
    bool there;
};

/* A ring of them (young.h): places first .. end-1, place p in slot p & (size - 1). */
struct young {
    struct young_entry *slots;
    uint32_t size;
    uint32_t n; /* without holes */
    uint64_t first, end;
    size_t bytes, bytes_max; /* of the copies */
};

/* The columns of a record, and which tags of its dictionary a FILTER wants. */
struct columns_here {
    uint64_t topic, base;
    uint32_t queue;
    uint32_t count; /* of the record; 0: there are none here */
    struct columns columns;
    struct buf row;      /* its row B */
    uint64_t wanted_ref; /* of the filter; 0: none was asked */
    struct buf wanted;   /* bit i: it wants the tag at place i */
};

#define COLUMNS_SLOTS 64 /* queues whose records are remembered */

/* What log_columns has read (log_columns.h). */
struct columns_known {
    struct columns_here slots[COLUMNS_SLOTS];
    struct columns_here apart;  /* of a tail, of a large row, of a record whose row is damaged */
    struct columns_maker maker; /* of the latter; or of a batch that is being put */
    struct overlay fresh;       /* rows B with columns that this group has put: a copy, to be read */
    struct buf class_row;       /* a row F that is being put */
};

struct gt;
struct cgroup;

#define TIMER_KINDS_MAX 16

/* The timer index of one kind (timer.h). */
struct timer_index {
    int64_t floor_ms; /* no row is due before this */
    int64_t fresh_ms; /* the earliest row that this group has put */
    int64_t next_ms;  /* when TICK is to look at it again; INT64_MAX: when a row is put */
    struct key passed; /* with len > 0: no row is due before the floor, nor at it up to this key */
};

/* How many rows a there are but that of `default`, once that was counted. */
struct users_known {
    bool counted;
    uint32_t n;
};

/* What the command at work has done, and may do (core_spent). */
struct work {
    uint32_t rows, rows_max;
    size_t read_bytes, size_before, bytes_max;
};

/* What was read of a long transaction before its COMMIT is applied (apply/commit.c). */
struct commit_ahead {
    uint64_t txid; /* 0: of none */
    uint32_t n_read;
    struct buf parts, bytes;
};

struct state {
    struct kv *kv;
    struct overlay overlay;
    struct finder finder; /* look-ups of messages in the store; closed when the group is written */
    struct meta_row meta;
    bool meta_dirty;
    bool sick; /* memory ran out in the middle of a command: the group must not be written */
    bool spared; /* commands that take long are not applied now (state_spare) */
    bool logged; /* the last group waits for state_settle */
    struct hash topics, gts, cgroups, pgroups; /* those in memory */
    struct lru lru;                            /* of topics and gts */
    uint32_t gone_left; /* gts whose rows this commit group may still delete (gone.h) */
    struct cgroup *touched_cgroups;
    struct topic *last_topic;   /* the one that was found last, or NULL: a command asks for it several times, and ... */
    struct pgroup *last_pgroup; /* ... so do many commands, one after the other */
    uint64_t group; /* counts groups, from 1 */
    uint64_t group_index;    /* stamp index of the group's first command; 0: none yet */
    uint64_t last_index;
    int64_t now_ms;
    uint64_t seq; /* of messages within the group */
    size_t group_bytes, group_bytes_max;
    uint32_t group_commands, group_settled; /* ... commands, and young transactions that were settled */
    struct topic *touched_topics;
    struct pgroup *touched_pgroups;
    struct tail *open_tails, **open_tails_end, *spare_tails;
    uint32_t n_spare_tails;
    struct gt *dirty_gts, **dirty_gts_end;
    uint32_t wait_window; /* waiting runs of a group in memory between groups (waiting.h) */
    struct timer_index timers[TIMER_KINDS_MAX];
    struct work work;
    struct young young;
    int64_t keep_ms; /* txn_outcome_retention, as last seen */
    int64_t synced_ms; /* of the last sync that the state itself asked for */
    struct effects fx;
    struct tally tally;
    struct buf scratch, scratch2, props, half; /* of the command at work */
    struct buf heads;                           /* of the POP at work (pop_fresh.c) */
    struct sifts sifts;                         /* the same: what was found out about messages for it */
    struct columns_known columns;
    struct users_known users;
    struct buf parts, parts_bytes, outcome;    /* of the COMMIT at work */
    struct commit_ahead ahead;                 /* of the COMMIT that comes next */
    const struct kv_source *source; /* where the store has the body that is appended; NULL: nowhere */
};

/* The next id of a transaction, or token of a delayed message: time, node and a sequence; ascending. */
uint64_t core_next_id(struct state *st, const struct stamp *stamp);
uint64_t core_next_ref(struct state *st);

/* Adds to the group's news: count more messages, or checks, are ready under the slot's key. NEWS_ALL: all that wait for
 * it look again. */
#define NEWS_ALL UINT32_MAX
void core_news(struct state *st, struct news_slot *slot, uint32_t count);

/* Adds to the news that something was deleted, so that nobody waits for it any longer: the group a on topic b, or the
 * topic a. */
void core_gone(struct state *st, struct slice a, struct slice b);

/* Put and delete rows in the batch. Only for rows that the open group does not read back. */
void core_put(struct state *st, const struct key *key, struct slice value);
void core_del(struct state *st, const struct key *key);

/* Tells that the row of that key makes no sense. Returns ST_DAMAGED. */
enum status core_bad_row(struct state *st, const struct key *key);

/* The row that was encoded into scratch2. If memory ran out meanwhile, the state is sick from here on: half a row must
 * not be written. */
struct slice core_row(struct state *st);

/*
 * What one command does beyond what it was asked for (what is due by time) is bounded, so that no other command waits
 * long for it: by rows, and by bytes read and written. What is left is done by later commands. The bounds do not
 * depend on the memory that this process has, nor on what it has loaded: every replica stops at the same place.
 */
#define WORK_ROWS_MAX 2048
#define WORK_BYTES_MAX MIB(3)
void core_work_begin(struct state *st, uint32_t rows_max, size_t bytes_max);
void core_worked(struct state *st, uint32_t rows, size_t read_bytes);
bool core_spent(const struct state *st);

/* About how many bytes the open group will write. */
size_t core_size(const struct state *st);

/* True where the open group has grown to a size at which it should be written. */
bool core_full(const struct state *st);

/* Answers that the store or memory failed (ST_DAMAGED, ST_IO, ST_NOMEM, ST_BUSY) while the broker was doing what `doing`
 * says. For want of memory (ST_NOMEM) the group is given up: what a command comes to must not depend on that. */
void core_fail(struct outcome *out, enum status s, const char *doing);

#endif
