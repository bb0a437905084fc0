/*
 * txn.c: the producer of half messages, and the decisions about their transactions.
 *
 *   half ──► txid ──► (the application's own transaction) ──► commit | rollback
 *                                    │ answer lost, process gone
 *                                    └──► the broker asks: checker (check.c)
 *
 * Half messages have a DEDUP id, and commit and rollback are idempotent, so all of them may be sent again.
 */
#include "clients/c/halfmq.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/gate.h"
#include "clients/c/roles/check.h"
#include "clients/c/roles/outgoing.h"
#include "clients/c/roles/parcel.h"
#include "clients/c/wire/reply.h"
#include "clients/c/wire/request.h"
#include "protocol/base/text.h"

struct hmq_txn_producer {
    struct sender sender;
    char *pgroup;
    struct checker *checker; /* NULL: answers no check-backs */
};

static void txn_producer_free(struct hmq_txn_producer *p)
{
    sender_fini(&p->sender);
    free(p->pgroup);
    free(p);
}

enum hmq_status hmq_txn_producer_new(hmq_client *c, const char *pgroup, hmq_check_fn check,
                                     void *arg, const hmq_options *options,
                                     hmq_txn_producer **ret_producer, hmq_error *err)
{
    if (!c || !pgroup || !ret_producer)
        return error_set(err, HMQ_EINVAL,
                         "a transactional producer needs a client and a producer group");
    if (!options)
        options = client_options(c);
    struct hmq_txn_producer *p = calloc(1, sizeof *p);
    if (!p)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = sender_init(&p->sender, c, options, err);
    if (status != HMQ_OK) {
        free(p);
        return status;
    }
    p->pgroup = strdup(pgroup);
    if (!p->pgroup) {
        txn_producer_free(p);
        return error_plain(err, HMQ_ENOMEM);
    }
    hmq_error own;
    size_t n_workers = (size_t)options_num(options, CHOICE_check_workers);
    if (check)
        p->checker = checker_new(c, pgroup, check, arg, n_workers, &own);
    if (check && !p->checker) {
        txn_producer_free(p);
        return error_set(err, own.code, "%s", own.text);
    }
    sender_show(&p->sender, STATS_TXN_PRODUCER);
    client_hold(c);
    *ret_producer = p;
    return error_none(err);
}

static struct parcel txn_half_parcel(const hmq_txn_producer *p, const char *topic, const void *body,
                                     size_t len, const hmq_send_options *options)
{
    return (struct parcel){.method = "half",
                           .pgroup = p->pgroup,
                           .topic = topic,
                           .body = body,
                           .len = len,
                           .options = options};
}

static enum hmq_status txn_half_call(hmq_txn_producer *p, const struct parcel *parcel,
                                     int64_t timeout_ms, hmq_txid *ret_txid, hmq_error *err)
{
    struct awaited w;
    struct hmq_reply *reply = NULL;
    enum hmq_status status = sender_await_call(&p->sender, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    status = parcel_encode(&p->sender, parcel, &w.call, err);
    if (status != HMQ_OK)
        return awaited_drop(&w, status);
    status = awaited_run(&w, &reply);
    hmq_txid txid = reply_uint(reply);
    hmq_reply_free(reply);
    if (status == HMQ_OK && txid == 0)
        return error_set(err, HMQ_EPROTO,
                         "the broker's reply to a half message is not a transaction id");
    if (status == HMQ_OK)
        *ret_txid = txid;
    return status;
}

/* The same through the interceptors. */
static enum hmq_status txn_half_through(hmq_txn_producer *p, struct parcel *parcel, int64_t timeout_ms, hmq_txid *ret_txid,
                                        hmq_error *err)
{
    struct hmq_client *c = p->sender.client;
    struct hmq_outgoing out;
    hmq_error own;
    if (!intercept_wanted(c))
        return txn_half_call(p, parcel, timeout_ms, ret_txid, err);
    if (!gate_enter(&p->sender.gate))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = outgoing_begin(&out, c, parcel, &own);
    if (status == HMQ_OK) {
        status = txn_half_call(p, parcel, timeout_ms, ret_txid, &own);
        outgoing_end(c, &out.spans, NULL, &own);
        outgoing_fini(&out);
    }
    gate_leave(&p->sender.gate, c);
    if (err)
        *err = own;
    return status;
}

enum hmq_status hmq_txn_half(hmq_txn_producer *p, const char *topic, const void *body, size_t len,
                             const hmq_send_options *options, int64_t timeout_ms,
                             hmq_txid *ret_txid, hmq_error *err)
{
    if (!p || !ret_txid)
        return error_set(err, HMQ_EINVAL,
                         "a half message needs a producer and ret_txid");
    struct parcel parcel = txn_half_parcel(p, topic, body, len, options);
    return txn_half_through(p, &parcel, timeout_ms, ret_txid, err);
}

enum hmq_status hmq_txn_add(hmq_txn_producer *p, hmq_txid txid, const char *topic, const void *body,
                            size_t len, const hmq_send_options *options, int64_t timeout_ms,
                            hmq_error *err)
{
    if (!p || txid == 0)
        return error_set(err, HMQ_EINVAL, "the producer is NULL, or the transaction is 0");
    struct parcel parcel = txn_half_parcel(p, topic, body, len, options);
    hmq_txid same;
    parcel.txid = txid;
    return txn_half_through(p, &parcel, timeout_ms, &same, err);
}

static void txn_put_txid(struct buf *b, hmq_txid txid)
{
    uint8_t room[UINT_DIGITS_MAX];
    rpc_put_str(b, SLICE_LIT("txid"));
    rpc_put_str(b, uint_digits(txid, room));
}

/* Puts the frame of a commit or rollback. */
static void txn_encode_decision(struct call *call, enum hmq_decision decision, hmq_txid txid)
{
    request_begin(call, decision == HMQ_COMMIT ? "commit" : "rollback", 1);
    txn_put_txid(&call->frame, txid);
    call->kind = CALL_ENDING;
    call->repeat = CALL_AGAIN_BUSY;
}

static enum hmq_status txn_decide(hmq_txn_producer *p, hmq_txid txid, enum hmq_decision decision,
                                  int64_t timeout_ms, hmq_reply **ret_ids, hmq_error *err)
{
    struct awaited w;
    if (!p || txid == 0)
        return error_set(err, HMQ_EINVAL, "the producer is NULL, or the transaction is 0");
    enum hmq_status status = sender_await_call(&p->sender, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    txn_encode_decision(&w.call, decision, txid);
    return awaited_run(&w, ret_ids);
}

enum hmq_status hmq_txn_commit(hmq_txn_producer *p, hmq_txid txid, int64_t timeout_ms,
                               hmq_reply **ret_ids, hmq_error *err)
{
    return txn_decide(p, txid, HMQ_COMMIT, timeout_ms, ret_ids, err);
}

enum hmq_status hmq_txn_rollback(hmq_txn_producer *p, hmq_txid txid, int64_t timeout_ms,
                                 hmq_error *err)
{
    return txn_decide(p, txid, HMQ_ROLLBACK, timeout_ms, NULL, err);
}

enum hmq_status hmq_txn_commit_ack(hmq_txn_producer *p, hmq_txid txid, const char *group,
                                   const char *const *receipts, size_t n, int64_t timeout_ms,
                                   hmq_reply **ret_ids, hmq_error *err)
{
    struct awaited w;
    if (!p || txid == 0 || !group || !receipts || n == 0)
        return error_set(err, HMQ_EINVAL,
                         "a commit with ACK needs a transaction, a group and receipts");
    for (size_t i = 0; i < n; i++)
        if (!receipts[i])
            return error_set(err, HMQ_EINVAL, "receipt %zu is NULL", i);
    enum hmq_status status = sender_await_call(&p->sender, &w, timeout_ms, err);
    if (status != HMQ_OK)
        return status;
    request_begin(&w.call, "commit", 3);
    txn_put_txid(&w.call.frame, txid);
    pair_text(&w.call.frame, "group", group);
    pair_texts(&w.call.frame, "receipt", receipts, n);
    w.call.kind = CALL_ENDING;
    w.call.repeat = CALL_AGAIN_BUSY;
    return awaited_run(&w, ret_ids);
}

static void txn_half_done(struct call *call, const struct call_outcome *outcome)
{
    struct send_call *sc = (struct send_call *)(void *)call; /* the call is its first member */
    hmq_error err;
    struct slice bytes;
    uint64_t txid = 0;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    if (status == HMQ_OK && (!rpc_bytes(outcome->result, &bytes) || !text_txid(bytes, &txid)))
        status = error_set(&err, HMQ_EPROTO, "the broker's reply to a half message is not a transaction id");
    sender_record(sc->sender, 1, status, call->begun_us, client_heard_us(sc->sender->client));
    sender_tell(sc->sender, true);
    if (sc->fn.half)
        sc->fn.half(sc->arg, txid, &err);
    sender_tell(sc->sender, false);
    sender_release(sc);
}

static enum hmq_status txn_half_later(hmq_txn_producer *p, const struct parcel *parcel, int64_t timeout_ms,
                                      hmq_half_fn fn, void *arg, hmq_error *err)
{
    struct send_call *call = sender_call(&p->sender, timeout_ms, txn_half_done, arg);
    if (!call)
        return error_plain(err, HMQ_ENOMEM);
    call->fn.half = fn;
    enum hmq_status status = parcel_encode(&p->sender, parcel, &call->call, err);
    if (status == HMQ_OK)
        return sender_submit(&p->sender, call, p->sender.linger_ms, err);
    call_fini(&call->call);
    free(call);
    return status;
}

/* The same through the interceptors. */
static enum hmq_status txn_half_later_through(hmq_txn_producer *p, struct parcel *parcel, int64_t timeout_ms,
                                              hmq_half_fn fn, void *arg, hmq_error *err)
{
    struct hmq_client *c = p->sender.client;
    struct hmq_outgoing out;
    hmq_error own;
    enum hmq_status status = outgoing_begin(&out, c, parcel, err);
    if (status != HMQ_OK)
        return status;
    struct outgoing_later *later = outgoing_later(&out, NULL, fn, arg);
    if (!later) {
        status = error_plain(&own, HMQ_ENOMEM);
        outgoing_end(c, &out.spans, NULL, &own);
    } else {
        status = txn_half_later(p, parcel, timeout_ms, outgoing_half, later, &own);
        if (status != HMQ_OK)
            outgoing_failed(later, &own);
    }
    outgoing_fini(&out);
    if (err)
        *err = own;
    return status;
}

enum hmq_status hmq_txn_half_async(hmq_txn_producer *p, const char *topic, const void *body,
                                   size_t len, const hmq_send_options *options, int64_t timeout_ms,
                                   hmq_half_fn fn, void *arg, hmq_error *err)
{
    if (!p)
        return error_set(err, HMQ_EINVAL, "the producer is NULL");
    struct hmq_client *c = p->sender.client;
    struct parcel parcel = txn_half_parcel(p, topic, body, len, options);
    if (!sender_enter(&p->sender))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = intercept_wanted(c) ? txn_half_later_through(p, &parcel, timeout_ms, fn, arg, err)
                                                 : txn_half_later(p, &parcel, timeout_ms, fn, arg, err);
    sender_leave(&p->sender);
    return status;
}

static void txn_decided_done(struct call *call, const struct call_outcome *outcome)
{
    struct send_call *sc = (struct send_call *)(void *)call; /* the call is its first member */
    hmq_error err;
    enum hmq_status status = error_bytes(&err, outcome->status, outcome->text);
    sender_record(sc->sender, 1, status, call->begun_us, client_heard_us(sc->sender->client));
    if (sc->fn.decided) {
        struct hmq_reply *ids = status == HMQ_OK ? reply_copy(outcome->result) : NULL;
        if (status == HMQ_OK && !ids)
            error_set(&err, HMQ_EUNKNOWN, "it was done, but there is no memory for the reply");
        sender_tell(sc->sender, true);
        sc->fn.decided(sc->arg, ids, &err);
        sender_tell(sc->sender, false);
    }
    sender_release(sc);
}

/* A decision passes the limits on what is under way. */
static enum hmq_status txn_decide_later(hmq_txn_producer *p, hmq_txid txid, enum hmq_decision decision,
                                        int64_t timeout_ms, hmq_reply_fn fn, void *arg, hmq_error *err)
{
    struct send_call *call = sender_call(&p->sender, timeout_ms, txn_decided_done, arg);
    if (!call)
        return error_plain(err, HMQ_ENOMEM);
    call->fn.decided = fn;
    txn_encode_decision(&call->call, decision, txid);
    return sender_submit_ending(&p->sender, call, err);
}

enum hmq_status hmq_txn_decide_async(hmq_txn_producer *p, hmq_txid txid, enum hmq_decision decision,
                                     int64_t timeout_ms, hmq_reply_fn fn, void *arg, hmq_error *err)
{
    if (!p || txid == 0 || (decision != HMQ_COMMIT && decision != HMQ_ROLLBACK))
        return error_set(err, HMQ_EINVAL,
                         "a decision needs a transaction, and is COMMIT or ROLLBACK");
    if (!sender_enter(&p->sender))
        return error_plain(err, HMQ_ECLOSED);
    enum hmq_status status = txn_decide_later(p, txid, decision, timeout_ms, fn, arg, err);
    sender_leave(&p->sender);
    return status;
}

enum hmq_status hmq_txn_run(hmq_txn_producer *p, const char *topic, const void *body, size_t len,
                            const hmq_send_options *options, hmq_local_fn local, void *arg,
                            int64_t timeout_ms, hmq_txid *ret_txid, hmq_error *err)
{
    hmq_txid txid = 0;
    if (!local)
        return error_set(err, HMQ_EINVAL, "the function of the local transaction is NULL");
    enum hmq_status status = hmq_txn_half(p, topic, body, len, options, timeout_ms, &txid, err);
    if (status != HMQ_OK)
        return status;
    if (ret_txid)
        *ret_txid = txid;
    enum hmq_decision decision = local(arg, txid);
    if (decision != HMQ_COMMIT && decision != HMQ_ROLLBACK)
        return error_none(err);
    return txn_decide(p, txid, decision, timeout_ms, NULL, err);
}

enum hmq_status hmq_txn_producer_flush(hmq_txn_producer *p, int64_t timeout_ms, hmq_error *err)
{
    return sender_flush(&p->sender, timeout_ms, err);
}

enum hmq_status hmq_txn_producer_stats_get(hmq_txn_producer *p, hmq_producer_stats *stats)
{
    return sender_stats(&p->sender, stats);
}

enum hmq_status hmq_txn_producer_close(hmq_txn_producer *p, int64_t timeout_ms, hmq_error *err)
{
    if (!p)
        return error_none(err);
    if (p->checker && workers_here(&p->checker->workers))
        return error_plain(err, HMQ_EWOULDBLOCK);
    struct hmq_client *c = p->sender.client;
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    enum hmq_status status = sender_close(&p->sender, timeout_ms, err);
    if (status == HMQ_EWOULDBLOCK)
        return status;
    bool ended = checker_free(p->checker, deadline_ms);
    sender_forget(&p->sender);
    txn_producer_free(p);
    client_release(c);
    if (!ended)
        return error_set(err, HMQ_ETIMEDOUT, "a check callback still runs; it is abandoned, and its answer is dropped");
    return status;
}
