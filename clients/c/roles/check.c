/*
 * check.c: hands the broker's check requests to the application's callback, and answers with what the callback
 * decides. The way of a request is drawn in check.h.
 */
#include "clients/c/roles/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client/logs.h"
#include "clients/c/client/respond.h"
#include "clients/c/client/wait.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/core.h"
#include "clients/c/wire/memory.h"
#include "clients/c/wire/request.h"

#define RETRY_MS 1000

struct hmq_check {
    struct task task;
    struct hmq_reply *object;
    const struct hmq_reply *messages;
    struct memory *memory; /* that it is taken from */
    size_t bytes;
    uint64_t id;
    uint32_t epoch;
};

static const char *const words[] = {
    [HMQ_UNDECIDED] = "unknown", [HMQ_COMMIT] = "commit", [HMQ_ROLLBACK] = "rollback"};

static struct checker *check_checker_of(struct service *s)
{
    return (struct checker *)(void *)s; /* the service is its first member */
}

static const char not_served[] = "this client does not serve this producer group";

static void check_free(struct hmq_check *check)
{
    memory_give(check->memory, check->bytes);
    hmq_reply_free(check->object);
    free(check);
}

static void check_answer(struct task *task, void *arg)
{
    struct hmq_check *check = (struct hmq_check *)(void *)task; /* the task is its first member */
    struct checker *k = arg;
    workers_outside(&k->workers);
    size_t i = (size_t)k->fn(k->arg, check);
    if (workers_inside(&k->workers))
        respond_text(k->client, check->epoch, check->id,
                     i < sizeof words / sizeof *words ? words[i] : words[HMQ_UNDECIDED]);
    check_free(check);
}

/* NULL: no memory, or too many checks wait. */
static struct hmq_check *check_new(struct hmq_client *c, const struct rpc_value *params)
{
    struct memory *memory = client_memory(c);
    size_t bytes = sizeof(struct hmq_check) + reply_size(params);
    if (!memory_take(memory, bytes, false))
        return NULL;
    struct hmq_check *check = calloc(1, sizeof *check);
    struct hmq_reply *object = check ? reply_copy(params) : NULL;
    if (!object) {
        memory_give(memory, bytes);
        free(check);
        return NULL;
    }
    *check = (struct hmq_check){.object = object, .memory = memory, .bytes = bytes};
    return check;
}

/* On the driver thread. True where the check is for this producer group, even if no worker can take it. */
static bool check_offered(struct service *s, uint64_t id, const struct rpc_value *params)
{
    struct checker *k = check_checker_of(s);
    struct slice pgroup;
    if (atomic_load(&k->leaving) || !rpc_bytes(rpc_get(params, "pgroup"), &pgroup) ||
        !slice_equal(pgroup, slice_str(k->pgroup)))
        return false;
    logs_say(k->client, HMQ_LOG_DEBUG, "the broker asks for a transaction of %s", k->pgroup);
    struct hmq_check *check = check_new(k->client, params);
    if (check) {
        check->messages = hmq_reply_get(check->object, "messages");
        check->id = id;
        check->epoch = client_epoch(k->client);
        if (workers_push(&k->workers, &check->task))
            return true;
        check_free(check);
    }
    respond_text(k->client, client_epoch(k->client), id, words[HMQ_UNDECIDED]);
    return true;
}

struct serve_call {
    struct call call;
    struct checker *checker;
    uint32_t epoch;
};

static void check_served(struct call *call, const struct call_outcome *outcome)
{
    struct serve_call *sc = (struct serve_call *)(void *)call; /* the call is its first member */
    struct checker *k = sc->checker;
    struct hmq_client *c = k->client;
    if (outcome->status != HMQ_OK && outcome->status != HMQ_ECLOSED && !atomic_load(&k->leaving)) {
        char text[HMQ_ERROR_TEXT_SIZE];
        snprintf(text, sizeof text, "checks_serve %s: %.*s", k->pgroup, (int)outcome->text.len,
                 (const char *)outcome->text.data);
        if (outcome->status >= HMQ_EREFUSED)
            client_event(c, HMQ_EVENT_TROUBLE, text);
        k->retry_ms = clock_ms() + RETRY_MS;
        if (k->asked_epoch == sc->epoch)
            k->asked_epoch = 0;
        service_kick(c, &k->service);
    }
    call_fini(call);
    free(sc);
    atomic_fetch_sub(&k->open, 1);
    client_changed(c);
}

/* Sends checks_serve or checks_unserve. False: it could not be sent. */
static bool check_ask(struct checker *k, const char *method, int64_t deadline_ms, uint32_t epoch)
{
    struct hmq_client *c = k->client;
    struct serve_call *sc = calloc(1, sizeof *sc);
    if (!sc)
        return false;
    call_init(&sc->call, client_id(c), check_served);
    sc->call.kind = CALL_INNER;
    sc->call.owner = k;
    sc->call.deadline_ms = deadline_ms;
    sc->checker = k;
    sc->epoch = epoch;
    request_begin(&sc->call, method, 1);
    pair_text(&sc->call.frame, "pgroup", k->pgroup);
    atomic_fetch_add(&k->open, 1);
    if (client_submit(c, &sc->call, 0) == HMQ_OK)
        return true;
    atomic_fetch_sub(&k->open, 1);
    call_fini(&sc->call);
    free(sc);
    return false;
}

/* Sends checks_serve once on each connection, and again where that failed. */
static int64_t check_tick(struct service *s, int64_t now_ms)
{
    struct checker *k = check_checker_of(s);
    uint32_t epoch = client_epoch(k->client);
    if (atomic_load(&k->leaving) || !client_is_connected(k->client) || k->asked_epoch == epoch)
        return CORE_NEVER;
    if (now_ms < k->retry_ms)
        return k->retry_ms;
    k->retry_ms = now_ms + RETRY_MS;
    if (!check_ask(k, "checks_serve", client_deadline(k->client, HMQ_DEFAULT), epoch))
        return k->retry_ms;
    k->asked_epoch = epoch;
    return CORE_NEVER;
}

static void check_connected(struct service *s)
{
    struct checker *k = check_checker_of(s);
    k->retry_ms = CORE_NOW;
    service_kick(k->client, s);
}

static void check_worker_gone(void *arg)
{
    struct checker *k = arg;
    client_changed(k->client);
}

static void check_free_checker(void *arg)
{
    struct checker *k = arg;
    free(k->pgroup);
    free(k);
}

struct checker *checker_new(struct hmq_client *c, const char *pgroup, hmq_check_fn fn, void *arg,
                            size_t n_workers, hmq_error *err)
{
    struct checker *k = calloc(1, sizeof *k);
    if (k)
        k->pgroup = strdup(pgroup);
    if (!k || !k->pgroup) {
        free(k);
        error_plain(err, HMQ_ENOMEM);
        return NULL;
    }
    k->client = c;
    k->fn = fn;
    k->arg = arg;
    k->retry_ms = CORE_NOW;
    k->service = (struct service){
        .connected = check_connected, .tick = check_tick, .check = check_offered, .due_ms = CORE_NOW};
    if (!workers_start(&k->workers, n_workers, CHECKS_MAX, check_answer, check_worker_gone, k)) {
        free(k->pgroup);
        free(k);
        error_set(err, HMQ_ESYSTEM, "the system has no threads for check-backs");
        return NULL;
    }
    service_add(c, &k->service);
    return k;
}

static bool check_nothing_open(void *arg)
{
    struct checker *k = arg;
    return atomic_load(&k->open) == 0;
}

/* Checks that no worker has begun go to another member. */
static void check_refuse_all(struct hmq_client *c, struct task_list *left)
{
    struct task *task;
    while ((task = TAILQ_FIRST(left))) {
        struct hmq_check *check = (struct hmq_check *)(void *)task; /* the task is its first member */
        TAILQ_REMOVE(left, task, link);
        respond_error(c, check->epoch, check->id, not_served);
        check_free(check);
    }
}

/* Tells the broker to ask others. Where there is no time to wait for its reply, by a notification, which has none. */
static void check_unserve(struct checker *k, int64_t deadline_ms)
{
    if (!client_is_connected(k->client))
        return;
    if (clock_ms() < deadline_ms && check_ask(k, "checks_unserve", deadline_ms, 0)) {
        if (wait_until(k->client, check_nothing_open, k, deadline_ms) == HMQ_OK)
            return;
    }
    struct call *note = respond_notify("checks_unserve");
    if (!note)
        return;
    rpc_put_map(&note->frame, 1);
    pair_text(&note->frame, "pgroup", k->pgroup);
    (void)respond_submit(k->client, k->asked_epoch, note);
}

static bool check_workers_gone(void *arg)
{
    struct checker *k = arg;
    return workers_gone(&k->workers);
}

bool checker_free(struct checker *k, int64_t deadline_ms)
{
    struct task_list left;
    if (!k)
        return true;
    struct hmq_client *c = k->client;
    atomic_store(&k->leaving, true);
    service_remove(c, &k->service);
    workers_halt(&k->workers);
    (void)wait_until(c, check_workers_gone, k, deadline_ms); /* so that their answers come first */
    check_unserve(k, deadline_ms);
    client_cancel_owned(c, k);
    (void)wait_until(c, check_nothing_open, k, INT64_MAX); /* the caller made sure that this is no callback */
    bool hangs = workers_abandon(&k->workers, check_free_checker, &left);
    check_refuse_all(c, &left);
    if (!hangs)
        check_free_checker(k);
    return !hangs;
}

/* ---- public functions ---- */

hmq_txid hmq_check_txid(const hmq_check *check)
{
    return reply_uint(hmq_reply_get(check->object, "txid"));
}

const char *hmq_check_pgroup(const hmq_check *check)
{
    return hmq_reply_text(hmq_reply_get(check->object, "pgroup"));
}

uint32_t hmq_check_attempt(const hmq_check *check)
{
    return (uint32_t)reply_uint(hmq_reply_get(check->object, "attempt"));
}

int64_t hmq_check_created_ms(const hmq_check *check)
{
    return hmq_reply_int(hmq_reply_get(check->object, "created"), 0);
}

size_t hmq_check_count(const hmq_check *check)
{
    return hmq_reply_len(check->messages);
}

static const struct hmq_reply *check_message_part(const hmq_check *check, size_t i, const char *name)
{
    return hmq_reply_get(hmq_reply_at(check->messages, i), name);
}

const char *hmq_check_topic(const hmq_check *check, size_t i)
{
    return hmq_reply_text(check_message_part(check, i, "topic"));
}

size_t hmq_check_key_count(const hmq_check *check, size_t i)
{
    return hmq_reply_len(check_message_part(check, i, "key"));
}

const char *hmq_check_key(const hmq_check *check, size_t i, size_t k)
{
    return hmq_reply_text(hmq_reply_at(check_message_part(check, i, "key"), k));
}

const char *hmq_check_tag(const hmq_check *check, size_t i)
{
    return hmq_reply_text(check_message_part(check, i, "tag"));
}

const void *hmq_check_body(const hmq_check *check, size_t i, size_t *ret_len)
{
    return hmq_reply_bytes(check_message_part(check, i, "body"), ret_len);
}

const char *hmq_check_prop(const hmq_check *check, size_t i, const char *name)
{
    return hmq_reply_text(hmq_reply_get(check_message_part(check, i, "properties"), name));
}

size_t hmq_check_prop_count(const hmq_check *check, size_t i)
{
    return hmq_reply_len(check_message_part(check, i, "properties"));
}

int hmq_check_prop_at(const hmq_check *check, size_t i, size_t k, hmq_prop_bytes *ret_prop)
{
    const struct hmq_reply *properties = check_message_part(check, i, "properties");
    if (k >= hmq_reply_len(properties))
        return 0;
    if (ret_prop) {
        ret_prop->name = hmq_reply_bytes(hmq_reply_key(properties, k), &ret_prop->name_len);
        ret_prop->value = hmq_reply_bytes(hmq_reply_at(properties, k), &ret_prop->value_len);
    }
    return 1;
}
