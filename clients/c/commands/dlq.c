/*
 * dlq.c: dead letters: listing, redriving and purging them.
 *
 * The broker takes bounded steps, whatever it is asked for: it redrives, or purges, so many and says how many. So these
 * functions ask again until nothing is left, the wanted number is reached, or the time is over.
 */
#include "clients/c/commands/ask.h"

#include <stdlib.h>

#include "clients/c/client/client.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/message.h"

enum hmq_status hmq_dlq_list(hmq_client *c, const char *group, size_t count, char *cursor, int64_t timeout_ms,
                                 hmq_batch **ret_batch, hmq_error *err)
{
    hmq_reply *page = NULL;
    if (!c || !group || !ret_batch)
        return error_set(err, HMQ_EINVAL, "dead letters need a client, a group and ret_batch");
    hmq_request *r = ask_begin("dlq_list");
    hmq_request_put_text(r, "group", group);
    if (count > 0)
        hmq_request_put_int(r, "count", (int64_t)count);
    enum hmq_status status = ask_page(c, r, cursor, timeout_ms, &page, err);
    if (status != HMQ_OK)
        return status;
    status = batch_of_part(page, hmq_reply_at(page, 1), ret_batch);
    if (status == HMQ_OK)
        return HMQ_OK;
    hmq_reply_free(page);
    return error_set(err, status, "%s",
                     status == HMQ_ENOMEM ? "no memory for the dead letters" : "the broker's dead letters are not valid");
}

struct dlq_step {
    const char *method, *group;
    const char *const *ids;
    size_t n_ids;
    uint64_t most; /* 0: all */
};

static enum hmq_status dlq_ask(hmq_client *c, const struct dlq_step *s, uint64_t done, int64_t timeout_ms,
                                   uint64_t *ret_count, hmq_error *err)
{
    hmq_request *r = ask_begin(s->method);
    hmq_request_put_text(r, "group", s->group);
    if (s->n_ids > 0)
        hmq_request_put_list(r, "id", s->ids, s->n_ids);
    else if (s->most > 0)
        hmq_request_put_int(r, "count", (int64_t)(s->most - done));
    return ask_count(c, r, timeout_ms, ret_count, err);
}

/* *ret_count (may be NULL) is set on failure, too. */
static enum hmq_status dlq_all(hmq_client *c, const struct dlq_step *s, int64_t timeout_ms, uint64_t *ret_count,
                                   hmq_error *err)
{
    int64_t deadline_ms = client_deadline(c, timeout_ms);
    uint64_t done = 0, step = 1;
    enum hmq_status status = HMQ_OK;
    while (status == HMQ_OK && step > 0 && (s->most == 0 || done < s->most)) {
        int64_t left_ms = deadline_ms - clock_ms();
        step = 0;
        status = dlq_ask(c, s, done, left_ms > 0 ? left_ms : 0, &step, err);
        done += step;
        if (s->n_ids > 0)
            break;
    }
    if (ret_count)
        *ret_count = done;
    return status;
}

enum hmq_status hmq_dlq_redrive(hmq_client *c, const char *group, uint64_t count, int64_t timeout_ms, uint64_t *ret_count,
                            hmq_error *err)
{
    const struct dlq_step s = {.method = "dlq_redrive", .group = group, .most = count};
    if (!c || !group || count > INT64_MAX)
        return error_set(err, HMQ_EINVAL, "to redrive needs a client, a group and a count below 2^63");
    return dlq_all(c, &s, timeout_ms, ret_count, err);
}

enum hmq_status hmq_dlq_redrive_these(hmq_client *c, const char *group, const char *const *ids, size_t n, int64_t timeout_ms,
                                  uint64_t *ret_count, hmq_error *err)
{
    const struct dlq_step s = {.method = "dlq_redrive", .group = group, .ids = ids, .n_ids = n};
    if (!c || !group || !ids || n == 0)
        return error_set(err, HMQ_EINVAL, "to redrive needs a client, a group and ids");
    return dlq_all(c, &s, timeout_ms, ret_count, err);
}

enum hmq_status hmq_dlq_purge(hmq_client *c, const char *group, int64_t timeout_ms, uint64_t *ret_count,
                                       hmq_error *err)
{
    const struct dlq_step s = {.method = "dlq_purge", .group = group};
    if (!c || !group)
        return error_set(err, HMQ_EINVAL, "to purge needs a client and a group");
    return dlq_all(c, &s, timeout_ms, ret_count, err);
}
