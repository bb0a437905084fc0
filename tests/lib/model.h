/*
 * model.h: what the store should do, written as simply as possible: arrays, no index, and no code from storage/.
 * tests/unit/storage/test_storage_model.c runs the same commands on the store and on this model.
 *
 *   topic     queues of messages by offset; a message is a serial number, which is also its body
 *   delayed   messages that are not due yet, with their tokens
 *   group     one cell for each offset: fresh, leased, waiting, done
 *   txn       pending, committed, rolled back, parked; its messages by serial number
 *
 * model_<command> judges a command: it gets the reply of the store, complains if that reply is not allowed, and
 * otherwise changes the model accordingly. The whole model is one struct without pointers, so that a commit group
 * that was lost can be undone by copying an older struct back.
 */
#ifndef HALFMQ_TESTS_MODEL_H
#define HALFMQ_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define M_TOPICS 3
#define M_QUEUES 4
#define M_OFFSETS 200 /* of a queue; the test deletes a topic before it reaches this */
#define M_GROUPS 3
#define M_TXNS 24
#define M_TXN_MESSAGES 4
#define M_DEDUPS 4
#define M_DELAYED 24
#define M_KEYS 2 /* ORDER keys 1.. */
#define M_PRIORITIES 10
#define M_USERS 3
#define M_SERIALS 4096 /* more than a history has messages */

/* What is damaged of its record (model_harm.h): nothing; all of it, so that the message is lost; its row of the directory. */
enum m_harm { M_WHOLE, M_LOST, M_ROW };

struct m_message {
    uint32_t serial;
    uint32_t group; /* commit group that stored it */
    int64_t stored_ms;
    int64_t expires_ms;
    enum m_harm harm;
};

struct m_queue {
    uint32_t floor, end;
    struct m_message messages[M_OFFSETS];
};

/* Each command has DEDUP ids of its own. */
enum m_command { M_SEND, M_PRODUCE, M_HALF, M_COMMANDS };

struct m_dedup {
    int64_t until_ms;
    bool outlived; /* of a HALF: its topic was deleted since */
    char answer[48];
};

struct m_topic {
    bool there;
    uint32_t n_queues, order_queues;
    int64_t retention_ms, max_bytes; /* 0: none (model_keep.h) */
    bool harmed; /* some message was damaged, so the store does not know the size of all messages */
    struct m_queue queues[M_QUEUES];
    struct m_dedup dedups[M_COMMANDS][M_DEDUPS];
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
    uint32_t base; /* its attempt numbers begin behind this: they go on where the group was deleted */
    uint32_t top;  /* and have come so far */
    int64_t lease_ms;
    bool filtered; /* what does not match is done from the beginning (model_filter.h) */
    uint32_t born; /* with a filter: in which commit group */
    uint32_t tags; /* FILTER TAG: bit t: it wants tag t; 0: all messages (model_class.h) */
    bool ordered;
    bool loose; /* it became ordered, or ceased to be: nobody knows what POP had passed over, which goes first */
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
    bool answered; /* the newest ask was answered, so it cannot be taken back */
    struct m_half halfs[M_TXN_MESSAGES];
    int64_t next_ms, timeout_ms;
    uint32_t touched; /* commit group that set next_ms */
    char ids[24 * M_TXN_MESSAGES];
};

struct m_user {
    bool there, damaged, on, nopass, reads; /* reads: +@read */
    unsigned topics; /* bit t: ~t<t> */
};

struct model {
    int64_t now_ms;
    uint32_t group, serial;
    uint64_t last_id;
    uint32_t check_max;
    int64_t checkin_ms, check_every_ms, timeout_ms, dedup_window_ms; /* the settings that apply to the producer group */
    bool pgroup_set;           /* it has settings of its own */
    bool cut; /* a lost message was given up, which counts as a long read: until the next TICKs, POP may hand out fewer */
    bool gave_up; /* `cut`, in the last TICKs */
    uint32_t parked_forgotten; /* transactions that the model forgot while they were parked */
    struct m_user users[M_USERS];
    struct m_topic topics[M_TOPICS];
    struct m_gt gts[M_GROUPS][M_TOPICS];
    uint32_t dead[M_GROUPS];
    struct m_txn txns[M_TXNS];
    struct m_delayed delayed[M_DELAYED];
    uint8_t ranks[M_SERIALS], tags[M_SERIALS]; /* priority + 1, and tag, of messages by serial number; 0: none */
    uint8_t keys[M_SERIALS]; /* ORDER keys of messages, by serial number; 0: none (model_order.h) */
};

/* Reports a complaint. Does not return. */
extern void (*model_complain)(const char *what);

/* Judges a message with that serial number, which got this id ("t1:0:5"). */
void model_stored(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, const char *id);

/* Judges a message that is delayed until due_ms and got this token ("@..."). Its TTL starts now. */
void model_delayed(struct model *m, int topic, int queue, uint32_t serial, int64_t ttl_ms, int64_t due_ms,
                   const char *token);
/* How many more delayed messages the model has room for. */
uint32_t model_delayed_room(const struct model *m);
/* The delayed message of the topic (-1: any) that is due first after `after` (NULL: first of all), or NULL. */
struct m_delayed *model_delayed_next(struct model *m, int topic, const struct m_delayed *after);

/* Judges the reply to a command with a DEDUP id (-1: none). True: it is the first answer again, as it must be. */
bool model_repeated(struct model *m, int topic, enum m_command command, int dedup, const char *said);
void model_remember(struct model *m, int topic, enum m_command command, int dedup, const char *said);

void model_topic_made(struct model *m, int topic, uint32_t n_queues);
void model_purge(struct model *m, int topic);
void model_topic_delete(struct model *m, int topic);

enum m_from { M_EARLIEST, M_LATEST };
void model_group_made(struct model *m, int group, int topic, enum m_from from, uint32_t attempts,
                      int64_t lease_ms);
void model_group_delete(struct model *m, int group);
bool model_group_there(const struct model *m, int group);

/* A POP on one topic: model_pop_begin, model_popped for each message in the reply, model_pop_end. */
struct m_pop {
    int group, topic;
    uint32_t waiting, fresh;         /* messages that were ready before */
    uint32_t took_waiting, took_fresh, took_lost;
    bool any;                        /* set by model_grants: the POP got something, from this topic or another */
    uint32_t lowest_waiting;         /* priority among those that waited */
    uint32_t got[M_PRIORITIES], newest_of[M_PRIORITIES]; /* fresh ones that were taken, by priority; and the commit group of the
                                                            newest of them (model_class.h) */
};
void model_pop_begin(struct model *m, struct m_pop *p, int group, int topic);
void model_popped(struct model *m, struct m_pop *p, int queue, uint32_t offset, uint32_t attempt,
                  int64_t until_ms, int64_t lease_ms);
/* wanted: how many more messages the caller wanted. Returns how many it got from this topic. */
uint32_t model_pop_end(struct model *m, struct m_pop *p, uint32_t wanted);

/* True if the lease of the receipt is valid. */
bool model_leased(const struct model *m, int group, int topic, int queue, uint32_t offset,
                  uint32_t attempt);
void model_ack(struct model *m, int group, int topic, int queue, uint32_t offset);
void model_nack(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t delay_ms);
void model_reject(struct model *m, int group, int topic, int queue, uint32_t offset);
void model_extend(struct model *m, int group, int topic, int queue, uint32_t offset, int64_t ms);
void model_release(struct model *m, int group, int topic, int queue, uint32_t offset);

struct m_txn *model_txn_new(struct model *m, uint64_t id, int64_t checkin_ms, int64_t timeout_ms);
void model_committed(struct model *m, struct m_txn *x, const char *ids);
/* Judges the reply of CHECKS: at most count of the checks that are due; if fewer, then all of them. */
void model_asked(struct model *m, const char *said, uint32_t count);

/* Judges an UNASK: it takes the ask back if it is the newest one and was not answered. */
void model_unasked(struct model *m, struct m_txn *x, uint32_t attempt);

/* Does what TICKs do until nothing is due. */
void model_pass(struct model *m);

/* How many messages of the group are ready, leased, and waiting for a retry. */
void model_lag(const struct model *m, int group, int topic, uint32_t *ret_ready, uint32_t *ret_inflight,
               uint32_t *ret_delayed);

#endif
