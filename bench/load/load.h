/*
 * load.h: what all parts of a running load know of one another.
 *
 *   run ──┬── worker (thread: epoll, agenda, meter) ──┬── link (a connection, a role) ──┬── op
 *         │                                           ├── link                          ├── op
 *         └── worker                                  └── ...                           └── ...
 *
 *   op    one thing under way: a send or batch, a POP with its ACK, a transaction
 *         free ─► started (intended_ns) ─► asked ─► answered ─┬─► done: timed, counted ─► free
 *                                            ▲                └─► a pause (busy, work) ─┐
 *                                            └──────────────────────────────────────────┘
 *   link  starts an op whenever one is free and its pace says so; a broken connection is made again
 *   role  what an op is: producer, consumer, streamer, transactor, checker (a file each)
 *
 * A link and its ops belong to its worker's thread; struct run is shared, its changing members are
 * atomic or behind their own locks.
 *
 * To add a mode: mode.def, a role if none fits, and its line in plans[] (run.c).
 */
#ifndef HALFMQ_BENCH_LOAD_H
#define HALFMQ_BENCH_LOAD_H

#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "bench/base/pace.h"
#include "bench/base/units.h"
#include "bench/load/agenda.h"
#include "bench/measure/meter.h"
#include "bench/measure/series.h"
#include "bench/measure/troubles.h"
#include "bench/options/body.h"
#include "bench/options/options.h"
#include "bench/roles/oracle.h"
#include "bench/roles/txids.h"
#include "bench/wire/dialect.h"

#define TXID_BYTES 24
#define PAUSE_BUSY_NS (2 * NS_PER_MS) /* before a refused request is repeated */
#define PAUSE_ERROR_NS (100 * NS_PER_MS) /* before a consumer that was refused asks again */
#define STREAM_ACKS 128u /* ACKs of a stream that may be under way */
#define POP_WAIT_MS 500
#define CHECKS_A_POLL 100u
#define POP_COUNT 100 /* messages a POP asks for where --batch is the producers' */

struct run {
    const struct options *o;
    const struct dialect *dialect;
    enum mode load; /* send, consume, txn, e2e or verify */
    struct slice topic, group, pgroup;
    uint32_t id; /* in the bodies */
    struct sockaddr_storage address;
    socklen_t address_len;
    int family;

    struct body_pool pool;
    struct keys keys;
    struct oracle *oracle; /* verify, else NULL */
    struct txids *txids; /* txn with an undecided share, else NULL */
    struct series series;
    struct troubles troubles;
    bool produce; /* a batch goes as one record */
    uint32_t order_queues; /* verify with records: how many of the topic ORDER keys keep to */
    bool streams; /* consume takes from streams */
    bool one_by_one; /* a batch is several requests: keys want it so, or DEDUP ids where it is no record */

    int64_t begin_ns, measure_ns, stop_ns; /* set before go */
    _Atomic bool go, abort;
    sem_t ended; /* posted by each worker at its end */
    _Atomic unsigned links_up; /* have connected once */
    _Atomic unsigned senders; /* producers and transactors that are not done */
    _Atomic int64_t budget; /* messages that may still be begun */
    _Atomic uint64_t started, sent, taken;
    _Atomic int64_t progress_ns; /* when something last came forward */
};

struct worker;
struct link;

struct seen {
    uint32_t key;
    uint64_t seq;
};

struct op {
    int64_t intended_ns; /* latency counts from here */
    int64_t asked_ns; /* the request under way, or the first of them */
    uint32_t n; /* messages in it */
    uint32_t claimed; /* taken from the budget for it */
    uint32_t left; /* answers that are missing */
    uint8_t stage; /* its role's */
    bool active;
    bool again; /* has to be asked again */
    bool failed;
    bool reminded; /* stands in the agenda */
    uint8_t fate; /* transactor: what becomes of it */
    uint8_t txid_len;
    char txid[TXID_BYTES];
    uint32_t key;
    uint64_t seq; /* of its first message */
    uint64_t bytes;
    struct buf
        receipts; /* consumer with --work: kept until they are acknowledged, each with its length */
    struct seen *seen; /* consumer in verify: what is acknowledged */
};

/* Every function is called in the worker's thread and may ask; what it asks is written when it
 * returns. */
struct role {
    const char *name;
    bool sends; /* counts among run->senders */
    bool paced; /* --rate is for this role */
    /* How many messages a new op shall have; 0: this link starts nothing more. */
    uint32_t (*claim)(struct link *l);
    void (*start)(struct link *l, struct op *op);
    void (*answered)(struct link *l, struct op *op, uint32_t part, const struct answer *a);
    void (*remind)(struct link *l, struct op *op); /* its pause is over */
    void (*broken)(struct link *l, struct op *op); /* active when the connection broke */
    void (*question)(struct link *l,
                     const struct answer *a); /* the broker asks; NULL: it should not */
    void (*pushed)(struct link *l, const struct answer *a); /* a stream brings, or ends */
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP };

struct link {
    struct worker *worker;
    const struct role *role;
    uint32_t index; /* among the links of its role */
    int fd;
    enum link_state state;
    bool was_up, retrying, start_reminded, exhausted, done, wants_write;
    int64_t down_ns; /* since when it has no connection */
    struct buf out, in;
    size_t out_at, in_at;
    struct speech speech;
    struct pace pace;
    int64_t join_ns; /* closed loop with --ramp: starts nothing before that, from the begin */
    struct chance chance;
    uint32_t n_ops, n_active, span; /* tag = op * span + part */
    struct op *ops;
    uint32_t *free_ops, n_free;
    uint32_t n_keys, next_key; /* verify: its keys are index, index + links, ... */
    uint8_t *key_taken;
    uint64_t seq;
    struct flow *flow; /* streamer */
    bool last_empty; /* consumer: the last POP brought nothing */
};

struct worker {
    struct run *run;
    pthread_t thread;
    unsigned index;
    int epoll, wake; /* wake: an eventfd */
    struct agenda agenda;
    struct meter meter;
    struct link *links;
    unsigned n_links, n_done;
    int64_t now_ns, next_second_ns;
    uint8_t *space; /* bodies of one batch, batch * most bytes */
    struct slice *bodies; /* batch of them */
    struct slice *receipts;
    struct buf record, starts; /* a batch on its way out */
    bool filled; /* space holds filler: bodies need only their heads */
};

/* ---- worker.c ---- */
void *worker_main(void *worker);
void worker_wake(struct worker *w);

/* ---- link.c ---- */
bool link_init(struct link *l, struct worker *w, const struct role *role, uint32_t index,
               uint32_t n_ops, uint32_t parts_max); /* false: no memory */
void link_fini(struct link *l);
void link_connect(struct link *l);
void link_event(struct link *l, uint32_t events);
void link_remind(struct link *l, uint32_t what); /* an agenda entry came up */
void link_ask(struct link *l, struct op *op, uint32_t part, struct ask *ask);
void link_flush(struct link *l);
void link_close(struct link *l);

#define WHAT_CONNECT UINT32_MAX /* agenda: try again to connect */
#define WHAT_START (UINT32_MAX - 1) /* agenda: the pace says go; below: number of an op */

/* ---- streamer.c ---- */
struct flow;
void streamer_free(struct flow *f);

/* ---- op.c ---- */
void op_pump(struct link *l); /* starts what may start, and sees whether the link is done */
void op_done(struct link *l, struct op *op);
void op_pause(struct link *l, struct op *op, int64_t for_ns); /* remind comes later */

/* True where what began then is to be counted. */
static inline bool run_measures(const struct run *r, int64_t intended_ns)
{
    return intended_ns >= r->measure_ns;
}

/* Takes up to n from the budget for something that begins then; 0: nothing is left. */
uint32_t run_claim(struct run *r, uint32_t n, int64_t intended_ns);
void run_unclaim(struct run *r, uint32_t n);

/* Ends the load with a reason that the report tells. */
void run_fail(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Counts an error that the broker answered, or a broken promise of its. */
void run_trouble(struct worker *w, struct slice text);

#endif
