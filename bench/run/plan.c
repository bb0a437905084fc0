/* plan.c: the roles of each mode, and what they need. */
#include "bench/run/plan.h"

#include "bench/roles/checker.h"
#include "bench/roles/consumer.h"
#include "bench/roles/oracle.h"
#include "bench/roles/producer.h"
#include "bench/roles/streamer.h"
#include "bench/roles/transactor.h"
#include "bench/roles/txids.h"

static bool plan_streams(const struct options *o, enum mode mode, bool redis)
{
    return o->binary && !redis && mode == MODE_consume;
}

enum latency plan_latency(const struct options *o, enum mode mode, bool redis)
{
    switch (mode) {
    case MODE_consume: return plan_streams(o, mode, redis) ? LAT_ack : LAT_pop;
    case MODE_txn: return LAT_half_commit;
    case MODE_e2e:
    case MODE_verify: return LAT_e2e;
    default: return LAT_send;
    }
}

uint32_t plan_keys_a_link(const struct load *load)
{
    const struct options *o = load->o;
    uint64_t ops = (o->inflight + o->connections - 1) / o->connections;
    uint64_t keys = (o->key_count + o->connections - 1) / o->connections;
    return (uint32_t)(keys > ops ? keys : ops);
}

bool plan_init(struct load *load, bool redis)
{
    const struct options *o = load->o;
    load->main = plan_latency(o, load->mode, redis);
    load->produce = !redis && o->binary;
    load->streams = plan_streams(o, load->mode, redis);
    /* The messages of a record share a queue, so they cannot each have a key; verify gives all of them the same. */
    load->one_by_one = redis || o->given[BENCH_priority] || (o->keys.kind != KEYS_NONE && load->mode != MODE_verify) ||
                       (!load->produce && (o->dedup || o->tags > 0 || load->mode == MODE_verify));
    if (load->mode == MODE_verify && !(load->oracle = oracle_new((uint32_t)o->connections * plan_keys_a_link(load))))
        return false;
    bool undecided = load->mode == MODE_txn && o->undecided > 0;
    return !undecided || (load->txids = txids_new()) != NULL;
}

void plan_fini(struct load *load)
{
    oracle_free(load->oracle);
    txids_free(load->txids);
}

unsigned plan_parts(const struct load *load, struct plan_part *parts)
{
    const struct options *o = load->o;
    /* Where answers come in order, an ACK would wait behind the POP that waits for messages. */
    uint64_t pops = load->dialect->ordered ? 1 : 2;
    const struct plan_part consumers = {&role_consumer,
                                        load->mode == MODE_consume ? o->connections : o->consumers,
                                        load->mode == MODE_consume ? o->inflight : pops * o->consumers};
    unsigned n = 0;
    if (load->streams) {
        parts[n++] = (struct plan_part){&role_streamer, o->connections, o->connections};
        return n;
    }
    if (load->mode == MODE_txn)
        parts[n++] = (struct plan_part){&role_transactor, o->connections, o->inflight};
    else if (load->mode != MODE_consume)
        parts[n++] = (struct plan_part){&role_producer, o->connections, o->inflight};
    if (load->mode == MODE_consume || load->mode == MODE_e2e || load->mode == MODE_verify)
        parts[n++] = consumers;
    if (load->txids)
        parts[n++] = (struct plan_part){&role_checker, 1, 1};
    return n;
}
