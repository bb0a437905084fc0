/*
 * model.h: what the store should do, as plainly as can be: arrays, no index, no cleverness, nothing
 * shared with storage/. tests/unit/storage/test_storage_model.c drives the store and this side by side.
 *
 *   topic     queues of messages by offset; a message is a serial number, which is its body
 *   delayed   messages that wait for their time, with their tokens
 *   group     one cell an offset: fresh, leased, waiting, done
 *   txn       pending, committed, rolled back, parked; its messages by serial number
 *
 * A command of the driver is judged by model_<command>: it takes what the store answered, complains where
 * that is not allowed, and changes the model accordingly. The whole model is one struct without
 * pointers, so that a group that was lost is undone by copying the struct back.
 */
#ifndef HALFMQ_TESTS_MODEL_H
#define HALFMQ_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define M_TOPICS 3
#define M_QUEUES 4
#define M_OFFSETS 200 /* a queue; the driver deletes a topic before it gets there */
#define M_GROUPS 3
#define M_TXNS 24
#define M_TXN_MESSAGES 4
#define M_DEDUPS 4
#define M_DELAYED 24

struct m_message {
    uint32_t serial;
    uint32_t group; /* of commands that stored it */
    int64_t expires_ms;
};

struct m_queue {
    uint32_t floor, end;
    struct m_message messages[M_OFFSETS];
};

struct m_dedup {
    int64_t until_ms;
    char answer[24];
};

struct m_topic {
    bool there;
    uint32_t n_queues;
    struct m_queue queues[M_QUEUES];
    struct m_dedup dedups[M_DEDUPS];
};

enum m_state { M_FRESH, M_LEASED, M_WAITING, M_DONE };

struct m_cell {
    enum m_state state;
    uint32_t attempt;
    int64_t due_ms;
};

/* A group on a topic. */
struct m_gt {
    bool there;
    uint32_t attempts;
    int64_t lease_ms;
    struct m_cell cells[M_QUEUES][M_OFFSETS];
};

enum m_fate { M_NONE, M_PENDING, M_COMMITTED, M_ROLLEDBACK, M_PARKED };

struct m_half {
    int topic, queue; /* queue -1: any */
    uint32_t serial;
    int64_t ttl_ms, delay_ms, at_ms;
};

struct m_delayed {
    uint64_t token; /* 0: none */
    int topic, queue;
    uint32_t serial;
    int64_t expires_ms, due_ms;
};

struct m_txn {
    enum m_fate fate;
    uint64_t id;
    uint32_t n, checks;
    bool answered; /* the newest ask was: it cannot be taken back */
    struct m_half halfs[M_TXN_MESSAGES];
    int64_t next_ms, timeout_ms;
    uint32_t touched; /* group that set next_ms */
    char ids[24 * M_TXN_MESSAGES];
};

struct model {
    int64_t now_ms;
    uint32_t group, serial;
    uint64_t last_id;
    uint32_t check_max;
    int64_t checkin_ms, check_every_ms, timeout_ms, dedup_window_ms; /* that count for the producer group */
    bool pgroup_set;           /* it has settings of its own */
    uint32_t parked_forgotten; /* transactions that the model forgot while they were parked */
    struct m_topic topics[M_TOPICS];
    struct m_gt gts[M_GROUPS][M_TOPICS];
    uint32_t dead[M_GROUPS];
    struct m_txn txns[M_TXNS];
    struct m_delayed delayed[M_DELAYED];
};

/* Where complaints go: does not return. */
extern void (*model_complain)(const char *what);

/* A message with that serial number has got this id ("t1:0:5"). */
void model_stored(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, const char *id);

/* A message with that serial number, whose TTL begins now, waits until due_ms and has got this token ("@..."). */
void model_delayed(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, int64_t due_ms,
                   const char *token);
/* How many more may wait. */
uint32_t model_delayed_room(const struct model *m);
/* The one of the topic (-1: any) that is due first, of those behind `after` (NULL: of all), or NULL. */
struct m_delayed *model_delayed_next(struct model *m, int topic, const struct m_delayed *after);

void model_topic_made(struct model *m, int topic, uint32_t n_queues);
void model_purge(struct model *m, int topic);
void model_topic_delete(struct model *m, int topic);

enum m_from { M_EARLIEST, M_LATEST };
void model_group_made(struct model *m, int group, int topic, enum m_from from, uint32_t attempts,
                      int64_t lease_ms);
void model_group_delete(struct model *m, int group);
bool model_group_there(const struct model *m, int group);

/* One message of a POP's answer. Between begin and end for each topic. */
struct m_pop {
    int group, topic;
    uint32_t waiting, fresh;         /* ready before */
    uint32_t took_waiting, took_fresh;
    uint32_t newest;                 /* group of the newest fresh one that was taken */
};
void model_pop_begin(struct model *m, struct m_pop *p, int group, int topic);
void model_popped(struct model *m, struct m_pop *p, int queue, uint32_t offset, uint32_t attempt,
                  int64_t until_ms, int64_t lease_ms);
/* wanted: how many the caller still wanted; how many it got of this topic. */
uint32_t model_pop_end(struct model *m, struct m_pop *p, uint32_t wanted);

/* True where the receipt's lease holds. */
bool model_leased(const struct model *m, int group, int topic, int queue, uint32_t offset,
                  uint32_t attempt);
void model_ack(struct model *m, int group, int topic, int queue, uint32_t offset);
void model_nack(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t delay_ms);
void model_reject(struct model *m, int group, int topic, int queue, uint32_t offset);
void model_extend(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t ms);
void model_release(struct model *m, int group, int topic, int queue, uint32_t offset);

struct m_txn *model_txn_new(struct model *m, uint64_t id, int64_t checkin_ms, int64_t timeout_ms);
void model_committed(struct model *m, struct m_txn *x, const char *ids);
/* The answer of CHECKS: of those that were due, count at most; with fewer, nobody is left out. */
void model_asked(struct model *m, const char *said, uint32_t count);

/* That ask was taken back, if it is the newest one and was not answered. */
void model_unasked(struct model *m, struct m_txn *x, uint32_t attempt);

/* What TICKs do until nothing is due. */
void model_pass(struct model *m);

/* How many are ready, leased, waiting for their time. */
void model_lag(const struct model *m, int group, int topic, uint32_t *ret_ready, uint32_t *ret_inflight,
               uint32_t *ret_delayed);

#endif
