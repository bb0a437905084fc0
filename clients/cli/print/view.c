/*
 * view.c: makes JSON trees of replies; view.h shows how.
 *
 * Every builder returns NULL when there is no memory, and frees what it had built. view_put() and view_append()
 * treat a NULL value as a failure, so that builders can be nested without a check at each step.
 *
 * A command with a new kind of reply gets a line in `shapes`.
 */
#include "clients/cli/print/view.h"

#include <stdio.h>

#include "clients/cli/print/bytes.h"
#include "clients/cli/print/users.h"
#include "protocol/base/text.h"

static const struct {
    enum command_id id;
    enum reply_shape shape;
} shapes[] = {
    {CMD_HELLO, SHAPE_MAP},         {CMD_INFO, SHAPE_INFO},        {CMD_CONFIG_GET, SHAPE_MAP},
    {CMD_TXN_INFO, SHAPE_MAP},      {CMD_TXN_LIST, SHAPE_PAGE},    {CMD_CHECKS, SHAPE_CHECKS},
    {CMD_PGROUP_INFO, SHAPE_MAP},   {CMD_PGROUP_LIST, SHAPE_LIST}, {CMD_POP, SHAPE_MESSAGES},
    {CMD_GROUP_INFO, SHAPE_GROUP},   {CMD_GROUP_LIST, SHAPE_LIST},  {CMD_LAG, SHAPE_LIST},
    {CMD_DLQ_LIST, SHAPE_LETTERS},  {CMD_READ, SHAPE_MESSAGES},    {CMD_GET, SHAPE_MESSAGE},
    {CMD_FIND, SHAPE_FOUND},     {CMD_TOPIC_INFO, SHAPE_MAP},   {CMD_TOPIC_LIST, SHAPE_LIST},
    {CMD_DELAYED_LIST, SHAPE_DELAYED}, {CMD_GROUP_SEEK, SHAPE_MAP},
    {CMD_GROUP_LEASES, SHAPE_LEASES}, {CMD_TXN_MESSAGES, SHAPE_MESSAGES},
    {CMD_ACL_LIST, SHAPE_USERS},    {CMD_ACL_GETUSER, SHAPE_MAP},  {CMD_ACL_LOG, SHAPE_REFUSED},
};

enum reply_shape view_shape(const struct command_info *info)
{
    for (size_t i = 0; info && i < sizeof shapes / sizeof *shapes; i++) {
        if (shapes[i].id == info->id)
            return shapes[i].shape;
    }
    return SHAPE_VALUE;
}

static struct slice view_reply_bytes(const redisReply *r)
{
    return slice_of(r->str, r->len);
}

static bool view_is_string(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS;
}

static bool view_is_array(const redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY;
}

static bool view_append(cJSON *list, cJSON *item)
{
    return item && cJSON_AddItemToArray(list, item);
}

static bool view_put(cJSON *object, const char *name, cJSON *item)
{
    return item && cJSON_AddItemToObject(object, name, item);
}

static cJSON *view_finished(cJSON *item, bool ok)
{
    if (ok)
        return item;
    cJSON_Delete(item);
    return NULL;
}

static cJSON *view_bytes_item(struct slice s)
{
    if (bytes_are_text(s))
        return bytes_string(s);
    cJSON *wrap = cJSON_CreateObject();
    return view_finished(wrap, wrap && view_put(wrap, "base64", bytes_base64(s)));
}

/* cJSON's own numbers are doubles, which cannot hold every 64-bit number. */
static cJSON *view_number_item(long long n)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", n);
    return cJSON_CreateRaw(text);
}

typedef cJSON *json_builder(const redisReply *r);

static cJSON *view_each(const redisReply *r, json_builder *build)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < r->elements; i++)
        ok = view_append(list, build(r->element[i]));
    return view_finished(list, ok);
}

static cJSON *view_value(const redisReply *r)
{
    switch (r->type) {
    case REDIS_REPLY_INTEGER: return view_number_item(r->integer);
    case REDIS_REPLY_NIL: return cJSON_CreateNull();
    case REDIS_REPLY_ARRAY: return view_each(r, view_value);
    default: return view_bytes_item(view_reply_bytes(r));
    }
}

static bool view_looks_like_map(const redisReply *r)
{
    if (!view_is_array(r) || r->elements == 0 || r->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < r->elements; i += 2) {
        if (!view_is_string(r->element[i]))
            return false;
    }
    return true;
}

static cJSON *view_map(const redisReply *r);

static cJSON *view_map_or_value(const redisReply *r)
{
    return view_looks_like_map(r) ? view_map(r) : view_value(r);
}

/* A map's value: an array of arrays is a list of maps (the queues of a topic); an array of words
 * (the keys of a message) is a list. */
static cJSON *view_map_value(const redisReply *r)
{
    if (view_is_array(r) && r->elements > 0 && view_is_array(r->element[0]))
        return view_each(r, view_map_or_value);
    return view_value(r);
}

static cJSON *view_map(const redisReply *r)
{
    if (!view_looks_like_map(r))
        return view_is_array(r) && r->elements == 0 ? cJSON_CreateObject() : view_value(r);
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;
    for (size_t i = 0; ok && i < r->elements; i += 2)
        ok = view_put(object, r->element[i]->str, view_map_value(r->element[i + 1]));
    return view_finished(object, ok);
}

static cJSON *view_message(const redisReply *r)
{
    if (!view_is_array(r) || r->elements != 4 || !view_is_string(r->element[1]))
        return view_value(r);
    struct slice body = view_reply_bytes(r->element[1]);
    bool text = bytes_are_text(body);
    cJSON *m = cJSON_CreateObject();
    bool ok =
        m && view_put(m, "id", view_value(r->element[0])) &&
        view_put(m, text ? "body" : "body_base64", text ? bytes_string(body) : bytes_base64(body)) &&
        view_put(m, "attributes", view_map(r->element[2])) && view_put(m, "properties", view_map(r->element[3]));
    return view_finished(m, ok);
}

static cJSON *view_check(const redisReply *r)
{
    cJSON *parsed = view_is_string(r) ? cJSON_ParseWithLength(r->str, r->len) : NULL;
    return parsed ? parsed : view_map_or_value(r);
}

static cJSON *view_user(const redisReply *r)
{
    return view_is_string(r) && bytes_are_text(view_reply_bytes(r)) ? users_item(view_reply_bytes(r)) : view_value(r);
}

static cJSON *view_page(const redisReply *r, json_builder *build)
{
    if (!view_is_array(r) || r->elements != 2 || !view_is_array(r->element[1]))
        return view_value(r);
    cJSON *list = cJSON_CreateArray();
    bool ok =
        list && view_append(list, view_value(r->element[0])) && view_append(list, view_each(r->element[1], build));
    return view_finished(list, ok);
}

/* Digits that are a number. A hash such as 00012 is none. */
static bool view_is_plain_number(struct slice s)
{
    int64_t n;
    return text_int(s, &n) && (s.len == 1 || s.data[0] != '0');
}

static bool view_put_info_line(cJSON *object, struct slice line)
{
    const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    char name[128];
    if (!colon || line.data[0] == '#' || (size_t)(colon - line.data) >= sizeof name)
        return true;
    size_t n = (size_t)(colon - line.data);
    struct slice rest = slice_of(colon + 1, line.len - n - 1);
    snprintf(name, sizeof name, "%.*s", (int)n, (const char *)line.data);
    cJSON *item = view_bytes_item(rest);
    if (item && view_is_plain_number(rest)) {
        cJSON *number = cJSON_CreateRaw(item->valuestring);
        cJSON_Delete(item);
        item = number;
    }
    return view_put(object, name, item);
}

static cJSON *view_info(const redisReply *r)
{
    if (!view_is_string(r))
        return view_value(r);
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;
    struct cursor c = cursor_of(view_reply_bytes(r));
    while (ok && cursor_left(&c) > 0) {
        const uint8_t *end = memchr(c.at, '\n', cursor_left(&c));
        size_t n = end ? (size_t)(end - c.at) : cursor_left(&c);
        struct slice line = cursor_bytes(&c, n);
        cursor_bytes(&c, end ? 1 : 0);
        if (line.len && line.data[line.len - 1] == '\r')
            line.len--;
        ok = view_put_info_line(object, line);
    }
    return view_finished(object, ok);
}

cJSON *view_reply(const redisReply *r, enum reply_shape shape)
{
    bool array = view_is_array(r);
    switch (shape) {
    case SHAPE_MAP: return view_map(r);
    case SHAPE_GROUP:
    case SHAPE_REFUSED:
    case SHAPE_LIST: return array ? view_each(r, view_map_or_value) : view_value(r);
    case SHAPE_MESSAGE: return view_message(r);
    case SHAPE_DELAYED:
    case SHAPE_FOUND:
    case SHAPE_MESSAGES: return array ? view_each(r, view_message) : view_value(r);
    case SHAPE_LEASES:
    case SHAPE_PAGE: return view_page(r, view_map_or_value);
    case SHAPE_LETTERS: return view_page(r, view_message);
    case SHAPE_USERS: return array ? view_each(r, view_user) : view_value(r);
    case SHAPE_CHECKS: return array ? view_each(r, view_check) : view_value(r);
    case SHAPE_INFO: return view_info(r);
    case SHAPE_VALUE: break;
    }
    return view_value(r);
}
