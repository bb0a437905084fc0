/* oracle.c: judges the replies of the store, and keeps what must be true after each of them (oracle.h). */
#include "tests/sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/text.h"

void (*oracle_complain)(const char *what);

void must(bool holds, const char *what)
{
    if (!holds)
        oracle_complain(what);
}

void oracle_copy(struct oracle *to, const struct oracle *from)
{
    memcpy(to->pgroups, from->pgroups, sizeof(to->pgroups));
    to->now_ms = from->now_ms;
    to->group = from->group;
    to->last_id = from->last_id;
    to->n_txns = from->n_txns;
    to->n_delayed = from->n_delayed;
    memcpy(to->delayed, from->delayed, from->n_delayed * sizeof(from->delayed[0]));
    memcpy(to->topics, from->topics, sizeof(to->topics));
    to->works = from->works;
    for (int t = 0; t < O_TOPICS; t++)
        for (int q = 0; q < O_QUEUES; q++) {
            const struct o_queue *oq = &from->queues[t][q];
            to->queues[t][q].end = oq->end;
            memcpy(to->queues[t][q].messages, oq->messages, oq->end * sizeof(oq->messages[0]));
        }
    memcpy(to->txns, from->txns, from->n_txns * sizeof(from->txns[0]));
}

void oracle_keep_gone(struct oracle *o, const struct oracle *lost)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < o->n_txns; i++) {
        while (at < lost->n_txns && lost->txns[at].id < o->txns[i].id)
            at++;
        if (at < lost->n_txns && lost->txns[at].id == o->txns[i].id)
            o->txns[i].may_be_gone = o->txns[i].may_be_gone || lost->txns[at].may_be_gone;
    }
}

/* ---- topics ---- */

void oracle_topic_made(struct oracle *o, int topic, uint32_t n_queues)
{
    struct o_topic *t = &o->topics[topic];
    must(!t->there, "a topic was made that was there");
    t->there = true;
    t->n_queues = n_queues;
    t->attempt_base = t->attempt_top;
    for (int q = 0; q < O_QUEUES; q++)
        o->queues[topic][q].end = 0;
}

void oracle_topic_deleted(struct oracle *o, int topic)
{
    struct o_topic *t = &o->topics[topic], old = *t;
    *t = (struct o_topic){.attempt_top = old.attempt_top};
    memcpy(t->dedups[O_HALF], old.dedups[O_HALF], sizeof(t->dedups[O_HALF])); /* an open transaction outlives its topic */
    for (int d = 0; d < O_DEDUPS; d++)
        t->dedups[O_HALF][d].outlived = true;
    for (uint32_t i = 0; i < o->n_delayed; i++)
        if (o->delayed[i].part.topic == topic)
            o->delayed[i].there = false; /* they are deleted with the topic */
}

bool oracle_grouped(const struct oracle *o)
{
    bool grouped = false;
    for (int t = 0; t < O_TOPICS; t++)
        grouped = grouped || o->topics[t].grouped;
    return grouped;
}

struct o_message *oracle_message(struct oracle *o, int topic, int queue, uint32_t offset)
{
    bool there = topic >= 0 && topic < O_TOPICS && o->topics[topic].there && queue >= 0 && queue < O_QUEUES &&
                 offset < o->queues[topic][queue].end;
    return there ? &o->queues[topic][queue].messages[offset] : NULL;
}

uint32_t oracle_home(const struct oracle *o, int topic, int order)
{
    char key[8];
    int n = snprintf(key, sizeof(key), "k%d", order);
    return (uint32_t)(text_hash(slice_of(key, (size_t)n)) % (o->topics[topic].there ? o->topics[topic].n_queues : 4));
}

/* Checks that the message may be stored in queue q. */
static void oracle_routed(struct oracle *o, const struct o_part *part, uint32_t q)
{
    struct o_topic *t = &o->topics[part->topic];
    must(q < t->n_queues, "stored in a queue that is not there");
    if (part->order >= 0) {
        must(q == oracle_home(o, part->topic, part->order), "stored in another queue than its ORDER key's");
        return;
    }
    must(part->queue < 0 || part->queue >= (int)t->n_queues || part->queue == (int)q,
         "stored in another queue than was asked for");
    if (part->queue >= 0)
        return;
    must(q == t->turn, "stored in another queue than the next in turn");
    t->turn = (t->turn + 1) % t->n_queues;
}

int64_t oracle_expiry(const struct oracle *o, const struct o_part *part)
{
    return part->ttl_ms < 0 ? INT64_MAX : o->now_ms + part->ttl_ms;
}

static void oracle_append(struct oracle *o, const struct o_part *part, uint64_t txid, int64_t expires_ms,
                          uint32_t q, uint32_t offset)
{
    struct o_queue *oq = &o->queues[part->topic][q];
    must(offset == oq->end, "the offset is not the next of its queue");
    must(oq->end < O_OFFSETS, "the simulation has no room in a queue");
    oq->messages[oq->end++] = (struct o_message){
        .serial = part->serial,
        .pad = (uint16_t)part->pad,
        .order = (int8_t)part->order,
        .tag = part->tag,
        .txid = txid,
        .born_ms = part->born_ms,
        .stored_ms = o->now_ms,
        .expires_ms = expires_ms,
    };
}

void oracle_stored(struct oracle *o, const struct o_part *part, uint64_t txid, int64_t expires_ms,
                   const char **at)
{
    unsigned t = 0, q = 0, offset = 0;
    int used = 0;
    must(sscanf(*at, "t%u:%u:%u%n", &t, &q, &offset, &used) == 3, "an id is not topic:queue:offset");
    must((int)t == part->topic, "stored in another topic");
    if (!o->topics[t].there)
        oracle_topic_made(o, (int)t, 4);
    oracle_routed(o, part, q);
    oracle_append(o, part, txid, expires_ms, q, offset);
    *at += used;
}

void oracle_produced(struct oracle *o, const struct o_part *parts, uint32_t n, int queue, const char *said)
{
    unsigned q = 0, offset = 0, count = 0;
    must(sscanf(said, "{queue:%u offset:%u count:%u}", &q, &offset, &count) == 3, "PRODUCE did not answer a place");
    must(count == n, "a batch was stored in part, or with more than it has");
    if (!o->topics[parts[0].topic].there)
        oracle_topic_made(o, parts[0].topic, 4);
    struct o_part whole = {.topic = parts[0].topic, .queue = queue, .order = -1};
    oracle_routed(o, &whole, q);
    for (uint32_t i = 0; i < n; i++) {
        if (parts[i].order >= 0)
            oracle_routed(o, &parts[i], q);
        oracle_append(o, &parts[i], 0, oracle_expiry(o, &parts[i]), q, offset + i);
    }
}

static void oracle_waits(struct oracle *o, const struct o_part *part, uint64_t txid, int64_t due_ms,
                         const char **at)
{
    char *end = NULL;
    must(**at == '@', "a message that is to wait was answered with no token");
    uint64_t token = strtoull(*at + 1, &end, 10);
    must(token > o->last_id, "a token does not ascend");
    must(o->n_delayed < O_DELAYED, "the simulation has no room for a delayed message");
    if (!o->topics[part->topic].there)
        oracle_topic_made(o, part->topic, 4);
    o->last_id = token;
    o->delayed[o->n_delayed++] = (struct o_delayed){true, *part, txid, token, due_ms, oracle_expiry(o, part)};
    *at = end;
}

void oracle_placed(struct oracle *o, const struct o_part *part, uint64_t txid, const char **at)
{
    int64_t due_ms = part->delay_ms ? o->now_ms + part->delay_ms : part->at_ms;
    if (due_ms > o->now_ms)
        oracle_waits(o, part, txid, due_ms, at);
    else
        oracle_stored(o, part, txid, oracle_expiry(o, part), at);
}

uint32_t oracle_waiting(const struct oracle *o, int topic, bool due)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n_delayed; i++) {
        const struct o_delayed *d = &o->delayed[i];
        n += d->there && d->part.topic == topic && (!due || d->due_ms <= o->now_ms);
    }
    return n;
}

void oracle_fired(struct oracle *o, struct o_delayed *d, const char *id)
{
    must(d->there && d->due_ms <= o->now_ms, "a delayed message came early");
    must(d->expires_ms > o->now_ms, "a delayed message came though its TTL was over");
    d->there = false;
    oracle_stored(o, &d->part, d->txid, d->expires_ms, &id);
}

void oracle_dropped(struct oracle *o, int topic, const char *listed, bool quiet)
{
    for (uint32_t i = 0; i < o->n_delayed; i++) {
        struct o_delayed *d = &o->delayed[i];
        bool over = d->there && d->part.topic == topic && d->due_ms <= o->now_ms && d->expires_ms <= o->now_ms;
        char token[32];
        (void)snprintf(token, sizeof(token), "@%llu=", (unsigned long long)d->token);
        if (!over || (!quiet && strstr(listed, token)))
            continue;
        must(!strstr(listed, token), "a delayed message that has expired still waits");
        d->there = false;
    }
}

/* ---- transactions ---- */

struct o_txn *oracle_find(struct oracle *o, uint64_t id)
{
    uint32_t low = 0, high = o->n_txns;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (o->txns[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < o->n_txns && o->txns[low].id == id ? &o->txns[low] : NULL;
}

bool oracle_open(const struct o_txn *x)
{
    return x->fate == O_PENDING || x->fate == O_PARKED;
}

struct o_txn *oracle_opened(struct oracle *o, uint64_t id, int pgroup, int64_t checkin_ms, int64_t timeout_ms)
{
    must(id > o->last_id, "the id of a transaction does not ascend");
    must(o->n_txns < O_TXNS, "the simulation has no room for a transaction");
    struct o_txn *x = &o->txns[o->n_txns++];
    *x = (struct o_txn){.id = id,
                        .pgroup = pgroup,
                        .created_ms = o->now_ms,
                        .next_ms = o->now_ms + checkin_ms,
                        .timeout_ms = o->now_ms + timeout_ms,
                        .touched = o->group,
                        .young = true};
    o->last_id = id;
    return x;
}

bool oracle_known(struct oracle *o, struct o_txn *x, const char *said, int64_t keep_ms)
{
    bool refused = strcmp(said, "-NOTXN") == 0;
    if (!x) {
        must(refused, "an id that was never issued is a transaction");
        return false;
    }
    if (oracle_open(x)) {
        must(!refused, "an open transaction is lost");
        return true;
    }
    if (x->gone || x->decided_ms + keep_ms <= o->now_ms) {
        must(refused, "an outcome is known longer than it is kept");
        return false;
    }
    must(!refused || x->may_be_gone, "an outcome was forgotten too early");
    x->gone = refused;
    return !refused;
}

void oracle_settle(struct oracle *o)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n_txns && n < O_SETTLED_MAX; i++) {
        struct o_txn *x = &o->txns[i];
        if (x->fate != O_PENDING || !x->young || x->created_ms + O_YOUNG_MS > o->now_ms)
            continue;
        x->young = false;
        n++;
    }
}

void oracle_age(struct oracle *o, int64_t keep_ms)
{
    for (uint32_t i = 0; i < o->n_txns; i++) {
        struct o_txn *x = &o->txns[i];
        if (!oracle_open(x) && x->decided_ms + keep_ms <= o->now_ms)
            x->may_be_gone = true;
    }
}

/* "[t0:1:2 t1:0:0]": the ids in the order of the HALFs. */
void oracle_committed(struct oracle *o, struct o_txn *x, const char *ids)
{
    must(oracle_open(x), "published a transaction that was decided");
    must(*ids == '[', "COMMIT did not answer ids");
    const char *at = ids + 1;
    for (uint32_t i = 0; i < x->n; i++) {
        oracle_placed(o, &x->parts[i], x->id, &at);
        must(*at++ == (i + 1 < x->n ? ' ' : ']'), "a transaction was published in part");
    }
    must(!*at, "a transaction was published with more than it has");
    must(strlen(ids) < sizeof(x->ids), "the simulation has no room for these ids");
    memcpy(x->ids, ids, strlen(ids) + 1);
    x->fate = O_COMMITTED;
    x->decided_ms = o->now_ms;
}

void oracle_rolledback(struct oracle *o, struct o_txn *x)
{
    if (!oracle_open(x))
        return;
    x->fate = O_ROLLEDBACK;
    x->decided_ms = o->now_ms;
}

/* ---- check-backs ---- */

static void oracle_moved(struct oracle *o, struct o_txn *x, int64_t next_ms, uint32_t check_max)
{
    x->next_ms = next_ms;
    x->kind = x->checks >= check_max ? O_PARK : O_ASK;
    x->touched = o->group;
    x->young = false;
}

void oracle_rescheduled(struct oracle *o, struct o_txn *x, int64_t next_ms, uint32_t check_max)
{
    x->answered = true;
    oracle_moved(o, x, next_ms, check_max);
}

void oracle_asked(struct oracle *o, struct o_txn *x, uint32_t attempt, int64_t check_every_ms, uint32_t check_max)
{
    must(x->fate == O_PENDING, "asked about a transaction that is not pending");
    must(x->next_ms <= o->now_ms, "asked before its time");
    must(x->kind != O_PARK && x->checks < check_max, "asked more often than check_max");
    x->checks++;
    x->answered = false;
    must(attempt == x->checks, "an ask has the wrong number");
    int64_t pause = check_every_ms * x->checks;
    oracle_moved(o, x, o->now_ms + (pause < O_PAUSE_MAX_MS ? pause : O_PAUSE_MAX_MS), check_max);
}

void oracle_asked_all(struct oracle *o, int pgroup, uint32_t check_max, bool all)
{
    for (uint32_t i = 0; i < o->n_txns; i++) {
        struct o_txn *x = &o->txns[i];
        if (x->fate != O_PENDING || x->pgroup != pgroup || x->next_ms > o->now_ms || x->touched == o->group ||
            x->young)
            continue;
        bool used_up = x->checks >= check_max; /* check_max was lowered: the next TICK parks it */
        must(!all || x->kind != O_ASK || used_up, "a transaction that is due was not asked about");
        if (x->kind == O_ASK && used_up)
            x->kind = all ? O_PARK : O_EITHER;
    }
}

void oracle_unasked(struct oracle *o, struct o_txn *x, uint32_t attempt, uint32_t check_max)
{
    if (x->fate != O_PENDING || x->checks == 0 || x->answered || x->checks != attempt)
        return;
    x->checks--;
    oracle_moved(o, x, o->now_ms, check_max);
}

bool oracle_parks(const struct oracle *o, const struct o_txn *x, uint32_t check_max, bool *ret_sure)
{
    bool too_old = x->timeout_ms <= o->now_ms;
    bool asked_out = x->checks >= check_max && x->next_ms <= o->now_ms;
    *ret_sure = too_old || (asked_out && x->kind == O_PARK);
    return x->fate == O_PENDING && (too_old || asked_out);
}
