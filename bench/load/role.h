/*
 * role.h: what a link is for: a table of functions that say what an op of it is. bench/roles/ has one file a role.
 *
 * Every function is called in the worker's thread and may ask (link_ask); what it asks is written to the socket
 * when it returns. A new role is a file in bench/roles/ with such a table, and a line in plan_parts
 * (bench/run/plan.c), which says in which mode it takes part.
 */
#ifndef HALFMQ_BENCH_ROLE_H
#define HALFMQ_BENCH_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/base/units.h"

#define PAUSE_BUSY_NS (2 * NS_PER_MS) /* before a refused request is repeated */
#define POP_WAIT_MS 500 /* how long a POP or CHECKS waits at the broker */

struct answer;
struct load_link;
struct op;

struct role {
    const char *name;
    bool sends; /* counts among load->senders */
    bool paced; /* --rate is for this role */
    uint32_t parts; /* the requests of an op are numbered below this; 0: below the messages of a batch, and one more */
    /* How many messages an op that begins then shall have; 0: this link starts nothing more. */
    uint32_t (*claim)(struct load_link *l, int64_t intended_ns);
    void (*start)(struct load_link *l, struct op *op);
    void (*answered)(struct load_link *l, struct op *op, uint32_t part, const struct answer *a);
    void (*remind)(struct load_link *l, struct op *op); /* its pause is over */
    void (*broken)(struct load_link *l, struct op *op); /* it was active when the connection broke */
    void (*question)(struct load_link *l, const struct answer *a); /* the broker asks back; NULL: it never should */
    void (*pushed)(struct load_link *l, const struct answer *a); /* a stream delivers a record, or ends; or NULL */
    void (*heard)(struct load_link *l); /* everything that was read has been passed to the functions above; or NULL */
    void (*forget)(struct load_link *l); /* frees what the role has allocated for the link; or NULL */
};

#endif
