/*
 * group.c: consumer groups: making them, their settings, pausing, seeking, leases.
 *
 *   hmq_group_settings ─► the options of GROUP CREATE and GROUP SET      a member that says "leave it" is not sent
 *   hmq_position ─► the words of GROUP SEEK
 */
#include "clients/c/commands/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/wire/sized.h"

#define BACKOFF_MOST 64
#define BACKOFF_TEXT_SIZE (BACKOFF_MOST * 24)

static enum hmq_status group_read_settings(const hmq_group_settings *from, hmq_group_settings *to, hmq_error *err)
{
    *to = (hmq_group_settings)HMQ_GROUP_SETTINGS;
    if (from && !sized_read(to, sizeof *to, from, sizeof *to))
        return error_set(err, HMQ_EINVAL, "settings: start from HMQ_GROUP_SETTINGS, of a header no newer than the library");
    if (to->filter_kind < HMQ_FILTER_LEAVE || to->filter_kind > HMQ_FILTER_WHERE)
        return error_set(err, HMQ_EINVAL, "settings: the kind of filter is none that this library knows");
    if (to->filter_kind >= HMQ_FILTER_TAG && !to->filter)
        return error_set(err, HMQ_EINVAL, "settings: the filter is NULL");
    if (to->n_backoff_ms > BACKOFF_MOST || (to->n_backoff_ms > 0 && !to->backoff_ms))
        return error_set(err, HMQ_EINVAL, "settings: backoff_ms is NULL, or has more than %d pauses", BACKOFF_MOST);
    return HMQ_OK;
}

static void group_put_filter(hmq_request *r, const hmq_group_settings *s)
{
    static const char *const kinds[] = {[HMQ_FILTER_NONE] = "none", [HMQ_FILTER_TAG] = "tag", [HMQ_FILTER_WHERE] = "where"};
    const char *text = s->filter_kind == HMQ_FILTER_NONE ? "" : s->filter;
    if (s->filter_kind != HMQ_FILTER_LEAVE)
        hmq_request_put_map(r, "filter", &kinds[s->filter_kind], &text, 1);
}

static void group_put_backoff(hmq_request *r, const hmq_group_settings *s)
{
    char text[BACKOFF_TEXT_SIZE] = "0";
    size_t at = 0;
    for (size_t i = 0; i < s->n_backoff_ms; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRId64, at ? "," : "", s->backoff_ms[i]);
    if (s->n_backoff_ms > 0)
        hmq_request_put_text(r, "backoff", text);
}

/* Settings of GROUP CREATE and of GROUP SET. */
static void group_put_settings(hmq_request *r, const hmq_group_settings *s, bool create)
{
    group_put_filter(r, s);
    if (s->ordered > 0 || (s->ordered == 0 && !create))
        hmq_request_put_text(r, "ordered", s->ordered ? "yes" : "no");
    ask_put_number(r, "lease", s->lease_ms);
    ask_put_number(r, "attempts", s->attempts);
    group_put_backoff(r, s);
    ask_put_number(r, "rate", s->rate);
    ask_put_number(r, "inflight", s->inflight);
}

static hmq_request *group_begin(const char *method, const char *group, const char *topic)
{
    hmq_request *r = ask_begin(method);
    hmq_request_put_text(r, "group", group);
    ask_put_text(r, "topic", topic);
    return r;
}

enum hmq_status hmq_group_create(hmq_client *c, const char *group, const char *topic, const hmq_position *from,
                                 const hmq_group_settings *settings, int64_t timeout_ms, hmq_error *err)
{
    hmq_group_settings s;
    char place[PLACE_TEXT_SIZE] = "";
    if (!c || !group || !topic)
        return error_set(err, HMQ_EINVAL, "a group needs a client, a name and a topic");
    enum hmq_status status = group_read_settings(settings, &s, err);
    if (status == HMQ_OK && from)
        status = ask_place(from, place, err);
    if (status == HMQ_OK && from && from->place > HMQ_AT_TIME)
        status = error_set(err, HMQ_EINVAL, "a group begins at the earliest or latest message, or at a time");
    if (status != HMQ_OK)
        return status;
    hmq_request *r = group_begin("group_create", group, topic);
    if (from && from->place == HMQ_AT_TIME)
        hmq_request_put_int(r, "from", from->time_ms);
    else if (from)
        hmq_request_put_text(r, "from", place);
    group_put_settings(r, &s, true);
    return ask_end(c, r, timeout_ms, NULL, err);
}

enum hmq_status hmq_group_set(hmq_client *c, const char *group, const char *topic, const hmq_group_settings *settings,
                              int64_t timeout_ms, hmq_error *err)
{
    hmq_group_settings s;
    if (!c || !group || !topic || !settings)
        return error_set(err, HMQ_EINVAL, "to set a group needs a client, a name, a topic and settings");
    enum hmq_status status = group_read_settings(settings, &s, err);
    if (status != HMQ_OK)
        return status;
    hmq_request *r = group_begin("group_set", group, topic);
    group_put_settings(r, &s, false);
    if (r)
        hmq_request_repeatable(r);
    return ask_end(c, r, timeout_ms, NULL, err);
}

/* A command that takes a group, and a topic or none, and may be repeated. */
static enum hmq_status group_simple(hmq_client *c, const char *method, const char *group, const char *topic,
                                    int64_t timeout_ms, hmq_reply **ret_reply, hmq_error *err)
{
    if (!c || !group)
        return error_set(err, HMQ_EINVAL, "%s needs a client and a group", method);
    hmq_request *r = group_begin(method, group, topic);
    if (r)
        hmq_request_repeatable(r);
    return ask_end(c, r, timeout_ms, ret_reply, err);
}

enum hmq_status hmq_group_pause(hmq_client *c, const char *group, const char *topic, int64_t timeout_ms, hmq_error *err)
{
    return group_simple(c, "group_pause", group, topic, timeout_ms, NULL, err);
}

enum hmq_status hmq_group_resume(hmq_client *c, const char *group, const char *topic, int64_t timeout_ms, hmq_error *err)
{
    return group_simple(c, "group_resume", group, topic, timeout_ms, NULL, err);
}

enum hmq_status hmq_group_info(hmq_client *c, const char *group, int64_t timeout_ms, hmq_reply **ret_info, hmq_error *err)
{
    if (!ret_info)
        return error_set(err, HMQ_EINVAL, "ret_info is NULL");
    return group_simple(c, "group_info", group, NULL, timeout_ms, ret_info, err);
}

enum hmq_status hmq_group_delete(hmq_client *c, const char *group, int64_t timeout_ms, hmq_error *err)
{
    if (!c || !group)
        return error_set(err, HMQ_EINVAL, "to delete a group needs a client and a group");
    return ask_end(c, group_begin("group_delete", group, NULL), timeout_ms, NULL, err);
}

static void group_put_seek(hmq_request *r, const hmq_position *to, const char *place, bool dry_run)
{
    if (to->place == HMQ_AT_OFFSET) {
        hmq_request_put_int(r, "queue", to->queue);
        hmq_request_put_int(r, "offset", (int64_t)to->offset);
    } else {
        hmq_request_put_text(r, "to", to->place == HMQ_AT_TIME ? place + 1 : place); /* without its @ */
    }
    if (dry_run)
        hmq_request_put_text(r, "dryrun", "yes");
}

static enum hmq_status group_seek(hmq_client *c, const char *group, const char *topic, const hmq_position *to,
                                  bool dry_run, int64_t timeout_ms, hmq_reply **ret_reply, hmq_error *err)
{
    char place[PLACE_TEXT_SIZE];
    if (!c || !group || !topic)
        return error_set(err, HMQ_EINVAL, "a seek needs a client, a group and a topic");
    enum hmq_status status = ask_place(to, place, err);
    if (status == HMQ_OK && to->place == HMQ_BEFORE_END)
        status = error_set(err, HMQ_EINVAL, "a group cannot go to so many before the end");
    if (status != HMQ_OK)
        return status;
    hmq_request *r = group_begin("group_seek", group, topic);
    group_put_seek(r, to, place, dry_run);
    if (r && dry_run)
        hmq_request_repeatable(r);
    return ask_end(c, r, timeout_ms, ret_reply, err);
}

enum hmq_status hmq_group_seek(hmq_client *c, const char *group, const char *topic, const hmq_position *to,
                               int64_t timeout_ms, hmq_error *err)
{
    return group_seek(c, group, topic, to, false, timeout_ms, NULL, err);
}

enum hmq_status hmq_group_seek_dry_run(hmq_client *c, const char *group, const char *topic, const hmq_position *to,
                                       int64_t timeout_ms, hmq_reply **ret_map, hmq_error *err)
{
    if (!ret_map)
        return error_set(err, HMQ_EINVAL, "ret_map is NULL");
    return group_seek(c, group, topic, to, true, timeout_ms, ret_map, err);
}

/* ---- leases ---- */

struct hmq_lease_list {
    hmq_reply *page;
};

enum hmq_status hmq_group_leases(hmq_client *c, const char *group, const char *topic, size_t count, char *cursor,
                                 int64_t timeout_ms, hmq_lease_list **ret_leases, hmq_error *err)
{
    if (!c || !group || !ret_leases)
        return error_set(err, HMQ_EINVAL, "leases need a client, a group and ret_leases");
    struct hmq_lease_list *leases = calloc(1, sizeof *leases);
    if (!leases)
        return error_plain(err, HMQ_ENOMEM);
    hmq_request *r = group_begin("group_leases", group, topic);
    if (count > 0)
        hmq_request_put_int(r, "count", (int64_t)count);
    enum hmq_status status = ask_page(c, r, cursor, timeout_ms, &leases->page, err);
    if (status == HMQ_OK)
        *ret_leases = leases;
    else
        free(leases);
    return status;
}

int hmq_lease_at(const hmq_lease_list *leases, size_t i, hmq_lease *ret_lease)
{
    const hmq_reply *map = leases ? hmq_reply_at(hmq_reply_at(leases->page, 1), i) : NULL;
    hmq_lease lease = {.size = sizeof lease};
    if (!map)
        return 0;
    lease.receipt = hmq_reply_text(hmq_reply_get(map, "receipt"));
    lease.lease_until_ms = hmq_reply_int(hmq_reply_get(map, "lease_until"), 0);
    lease.consumer = hmq_reply_text(hmq_reply_get(map, "consumer"));
    return sized_write(ret_lease, &lease, sizeof lease, sizeof lease);
}

void hmq_lease_list_free(hmq_lease_list *leases)
{
    if (!leases)
        return;
    hmq_reply_free(leases->page);
    free(leases);
}
